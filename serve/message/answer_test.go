package message

import (
	"cmp"
	"net/http"
	"reflect"
	"slices"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// answerTo is an answer to a request with this method, which has begun.
func answerTo(method string, status int, header http.Header) *Answer {
	a := new(Answer)
	a.To(&Head{Method: method})
	a.Begin(status, header)
	return a
}

// sorted are the fields by name; those of one name stay in order.
func sorted(fields []Field) []Field {
	return slices.SortedStableFunc(slices.Values(fields), func(a, b Field) int { return cmp.Compare(a.Name, b.Name) })
}

func wantFields(t *testing.T, why string, got []Field, want ...Field) {
	t.Helper()
	if got = sorted(got); !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", why, got, want)
	}
}

func TestAnswerFields(t *testing.T) {
	header := http.Header{
		"X-Two": {"a", " b"}, "X-None": nil, "Content-Type": {"text/css"}, "Etag": {`"x"`}, "Content-Length": {"5"},
		"Connection": {"keep-alive, x-two"}, "Keep-Alive": {"1"}, "Proxy-Connection": {"close"}, "Transfer-Encoding": {"chunked"},
		"Upgrade": {"h2c"}, http.TrailerPrefix + "X-T": {"1"},
	}
	a := answerTo("GET", 200, header)
	header.Set("X-Late", "1")
	header["X-Two"][0] = "changed"
	wantFields(t, "the handler's map as it was, without what is of the connection", a.Fields,
		Field{"Content-Type", "text/css"}, Field{"Etag", `"x"`}, Field{"X-Two", "a"}, Field{"X-Two", " b"})
	servetest.Want(t, "Connection has no close", a.Close, false)
	servetest.Want(t, "a field by prefix is a trailer", a.Late, true)
	servetest.Want(t, "declared length", a.Length, 5)
	servetest.Want(t, "a content type", a.ContentType, true)
	servetest.Want(t, "no date", a.Date, false)

	a = answerTo("GET", 304, header)
	wantFields(t, "RFC 9110 §15.4.5: 304 describes no content", a.Fields,
		Field{"Etag", `"x"`}, Field{"X-Late", "1"}, Field{"X-Two", "changed"}, Field{"X-Two", " b"})
	servetest.Want(t, "and is not given a type", a.SniffsType(), false)
	servetest.Want(t, "but may tell the length", a.TellsLength(), true)

	a = answerTo("GET", 200, http.Header{"Connection": {"x", "Keep-Alive, Close"}, "Date": nil, "Content-Encoding": {"gzip"}, "Content-Length": {"x"}})
	servetest.Want(t, "Connection: close", a.Close, true)
	servetest.Want(t, "a date that is suppressed", a.Date, true)
	servetest.Want(t, "no type is seen in what is encoded", a.SniffsType(), false)
	servetest.Want(t, "a length that is no number", a.Length, -1)
}

// TestAnswerFraming: where an answer ends and what its head says of it.
func TestAnswerFraming(t *testing.T) {
	length := func(n string) http.Header { return http.Header{"Content-Length": {n}} }
	trailer := http.Header{"Trailer": {"X-T"}}
	for _, tt := range []struct {
		name    string
		method  string
		status  int
		header  http.Header
		written int64 // -1: the handler still runs
		length  string
		ends    bool // with the head
	}{
		{"running", "GET", 200, nil, -1, "", false},
		{"running, declared", "GET", 200, length("005"), -1, "005", false},
		{"running, declared to be empty", "GET", 200, length("0"), -1, "0", false},
		{"empty", "GET", 200, nil, 0, "0", true},
		{"whole", "GET", 200, nil, 5, "5", false},
		{"declared, shorter", "GET", 200, length("9"), 5, "9", false},
		{"204", "GET", 204, length("5"), -1, "", true},
		{"304", "GET", 304, nil, 0, "", true},
		{"304, declared", "GET", 304, length("5"), 0, "5", true},
		{"HEAD, running", "HEAD", 200, nil, -1, "", true},
		{"HEAD, nothing written", "HEAD", 200, nil, 0, "", true},
		{"HEAD, written", "HEAD", 200, nil, 5, "5", true},
		{"HEAD, declared", "HEAD", 200, length("5"), 0, "5", true},
		{"trailer announced", "GET", 200, trailer, 0, "", false},
		{"trailer announced, 204", "GET", 204, trailer, 0, "", false},
		{"trailer announced that may be none", "GET", 200, http.Header{"Trailer": {"Host"}}, 5, "", false},
		{"trailer by prefix", "GET", 200, http.Header{http.TrailerPrefix + "X-T": {"1"}}, 0, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := answerTo(tt.method, tt.status, tt.header)
			if tt.written >= 0 {
				a.Finish(tt.header, tt.written)
			}
			got := ""
			if a.TellsLength() {
				got = a.LengthValue()
			}
			servetest.Want(t, "content-length", got, tt.length)
			servetest.Want(t, "the head ends it", a.HeadEnds(), tt.ends)
		})
	}

	a := answerTo("GET", 200, length("5"))
	servetest.Want(t, "four bytes of five", a.EndsAt(4), false)
	servetest.Want(t, "five bytes of five", a.EndsAt(5), true)
	servetest.Want(t, "of unknown length", answerTo("GET", 200, nil).EndsAt(0), false)
	servetest.Want(t, "a trailer section follows", answerTo("GET", 200, http.Header{"Content-Length": {"5"}, "Trailer": {"X-T"}}).EndsAt(5), false)

	a = answerTo("GET", 200, nil)
	a.Finish(http.Header{http.TrailerPrefix + "X-T": {"1"}}, 0)
	servetest.Want(t, "a trailer set behind WriteHeader, without content", a.HeadEnds(), false)

	a = new(Answer)
	a.To(&Head{Method: http.MethodConnect, Protocol: "websocket"})
	a.Begin(200, length("5"))
	a.Finish(nil, 5)
	servetest.Want(t, "RFC 8441: a tunnel has no length", a.TellsLength(), false)
	servetest.Want(t, "and no type", a.SniffsType(), false)
}

func TestAnswerTrailers(t *testing.T) {
	header := http.Header{"Trailer": {"X-T, host", "x-unset"}, "X-T": {"1", "2"}, "X-A": {"a"}}
	a := answerTo("GET", 200, header)
	servetest.Want(t, "what is announced goes behind the content", a.Deferred("X-T"), true)
	servetest.Want(t, "and nothing else", a.Deferred("X-A"), false)
	servetest.Want(t, "least of all what may be no trailer", a.Deferred("Host"), false)
	header[http.TrailerPrefix+"X-P"] = []string{"3"}
	header[http.TrailerPrefix+"Content-Length"] = []string{"4"}
	servetest.Want(t, "there are trailers", a.NoteTrailers(header), true)
	header.Set("X-T", "changed")
	wantFields(t, "announced or by prefix, as they are now", a.Fields, Field{"X-P", "3"}, Field{"X-T", "1"}, Field{"X-T", "2"})

	for _, tt := range []struct {
		name, method string
		status       int
		header       http.Header
	}{
		{"HEAD", "HEAD", 200, http.Header{"Trailer": {"X-T"}, "X-T": {"1"}}},
		{"announced and not set", "GET", 200, http.Header{"Trailer": {"X-T"}}},
		{"forbidden", "GET", 200, http.Header{"Trailer": {"Host"}, "Host": {"a"}, http.TrailerPrefix + "Te": {"1"}}},
	} {
		servetest.Want(t, tt.name, answerTo(tt.method, tt.status, tt.header).NoteTrailers(tt.header), false)
	}
	late := http.Header{http.TrailerPrefix + "X-T": {"1"}}
	servetest.Want(t, "204 that has ended with its head", answerTo("GET", 204, nil).NoteTrailers(late), false)
	servetest.Want(t, "204 with trailers", answerTo("GET", 204, late).NoteTrailers(late), true)
}

// TestAnswerReset: an answer that was used is as good as a new one, holds
// nothing of the last and allocates nothing.
func TestAnswerReset(t *testing.T) {
	a := answerTo("HEAD", 204, http.Header{
		"Trailer": {"X-T"}, "Content-Type": {"a"}, "Content-Encoding": {"b"}, "Date": {"c"}, "Connection": {"close"},
		"Content-Length": {"5"}, http.TrailerPrefix + "X-T": nil,
	})
	a.Tunnel = true
	a.Finish(nil, 7)
	a.Reset()
	if a.array != [8]Field{} {
		t.Errorf("strings of the last answer: %q", a.array)
	}
	fresh := new(Answer)
	for _, x := range []*Answer{a, fresh} {
		x.Fields, x.Trailers = nil, nil
	}
	if !reflect.DeepEqual(a, fresh) {
		t.Errorf("after Reset: %+v", *a)
	}

	header := http.Header{"X-A": {"1"}, "X-B": {"2", "3"}}
	if got := testing.AllocsPerRun(100, func() {
		a.To(&Head{Method: "GET"})
		a.Begin(200, header)
		a.Reset()
	}); got > 0 && !raceEnabled {
		t.Errorf("%v allocations", got)
	}
}

func TestInterimField(t *testing.T) {
	for name, want := range map[string]bool{"Link": true, "Date": true, "Content-Length": false, "Connection": false, "Transfer-Encoding": false, "Upgrade": false} {
		servetest.Want(t, name, InterimField(name), want)
	}
}

func TestCheckStatus(t *testing.T) {
	for status, want := range map[int]any{
		99: "invalid WriteHeader code 99", 100: nil, 999: nil, 1000: "invalid WriteHeader code 1000", 0: "invalid WriteHeader code 0",
	} {
		func() {
			defer func() { servetest.Want(t, "panic", recover(), want) }()
			CheckStatus(status)
		}()
	}
}
