package handler

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// auditEvent is a line, as a reader of the log sees it.
type auditEvent struct {
	Stage, AuditID, Verb, RequestURI, Protocol, UserAgent string
	User                                                  *struct {
		Username, UID string
		Groups        []string
	}
	SourceIPs      []string
	ResponseStatus struct {
		Code   int
		Reason string
	}
	RequestReceivedTimestamp, StageTimestamp time.Time
}

// audited is the events that one request leaves behind.
func audited(t *testing.T, o AuditOptions, use func(a *Audit)) []auditEvent {
	t.Helper()
	var log bytes.Buffer
	o.Sink = &log
	a := NewAudit(o)
	a.now = func() time.Time { return benchTime }
	use(a)
	servetest.Must(t, "shutdown", a.Shutdown(t.Context()))
	var events []auditEvent
	for line := range strings.Lines(log.String()) {
		var e auditEvent
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		servetest.Must(t, line, d.Decode(&e))
		events = append(events, e)
	}
	return events
}

func stagesOf(events []auditEvent) string {
	var s []string
	for _, e := range events {
		s = append(s, e.Stage)
	}
	return strings.Join(s, " ")
}

// user is a stage that knows everybody by one name.
type known struct{ user *User }

func (k known) Begin(x *Exchange) bool {
	x.User, x.ID = k.user, "id-1"
	return true
}

func TestAuditEvents(t *testing.T) {
	ann := known{&User{Name: "ann", UID: "7", Groups: []string{"admins", "users"}}}
	events := audited(t, AuditOptions{}, func(a *Audit) {
		through(NotFound{}, request("DELETE", "/a%20b?token=secret", "User-Agent: curl/8", "Authorization: Bearer secret"), ann, a)
	})
	servetest.Want(t, "events", stagesOf(events), "RequestReceived ResponseComplete")
	e := events[1]
	servetest.Want(t, "id", e.AuditID, "id-1")
	servetest.Want(t, "verb", e.Verb, "delete")
	servetest.Want(t, "path, without the query", e.RequestURI, "/a b")
	servetest.Want(t, "user", e.User.Username+" "+e.User.UID+" "+strings.Join(e.User.Groups, ","), "ann 7 admins,users")
	servetest.Want(t, "source", strings.Join(e.SourceIPs, " "), "192.0.2.1")
	servetest.Want(t, "agent", e.UserAgent, "curl/8")
	servetest.Want(t, "status", e.ResponseStatus.Code, http.StatusNotFound)
	servetest.Want(t, "time", e.StageTimestamp, benchTime)
	servetest.Want(t, "received before", events[0].StageTimestamp, e.RequestReceivedTimestamp)
	servetest.Want(t, "no status yet", events[0].ResponseStatus.Code, 0)
}

// longRunning is a stage that takes each request for a watch.
type longRunning struct{}

func (longRunning) Begin(x *Exchange) bool {
	x.Info.LongRunning = true
	return true
}

func TestAuditStages(t *testing.T) {
	panics := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	refuses := NewAuthorization(AuthorizationOptions{})
	level := func(l AuditLevel) func(*Exchange) AuditLevel { return func(*Exchange) AuditLevel { return l } }
	for _, c := range []struct {
		name   string
		level  AuditLevel
		h      http.Handler
		before []Stage
		behind []Stage
		want   string
		status int
	}{
		{"answered", AuditMetadata, plainOK, nil, nil, "RequestReceived ResponseComplete", 200},
		{"watch", AuditMetadata, plainOK, []Stage{longRunning{}}, nil, "RequestReceived ResponseStarted ResponseComplete", 200},
		{"panic", AuditMetadata, panics, nil, nil, "RequestReceived Panic", 500},
		{"refused behind it", AuditMetadata, plainOK, nil, []Stage{refuses}, "RequestReceived ResponseComplete", 403},
		{"refused in front of it", AuditMetadata, plainOK, []Stage{refuses}, nil, "", 0},
		{"result only", AuditResult, plainOK, []Stage{longRunning{}}, nil, "ResponseComplete", 200},
		{"result only, panic", AuditResult, panics, nil, nil, "Panic", 500},
		{"none", AuditNone, plainOK, nil, nil, "", 0},
		{"none, panic", AuditNone, panics, nil, nil, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			events := audited(t, AuditOptions{Policy: level(c.level)}, func(a *Audit) {
				defer func() { _ = recover() }()
				through(c.h, request("GET", "/"), append(append(c.before, a), c.behind...)...)
			})
			servetest.Want(t, "events", stagesOf(events), c.want)
			if len(events) > 0 {
				servetest.Want(t, "status", events[len(events)-1].ResponseStatus.Code, c.status)
			}
		})
	}
}

func TestAuditRefused(t *testing.T) {
	for _, inFront := range []bool{true, false} {
		events := audited(t, AuditOptions{}, func(a *Audit) {
			authn := newTestAuthentication(t, AuthenticationOptions{Authenticator: knows("", errors.New("bad\ntoken")), Refused: a.Refused})
			if inFront {
				through(plainOK, request("GET", "/"), authn, a)
			} else {
				through(plainOK, request("GET", "/"), a, authn)
			}
		})
		want := "RequestReceived ResponseComplete"
		if inFront {
			want = "ResponseStarted"
		}
		servetest.Want(t, "events", stagesOf(events), want)
		last := events[len(events)-1]
		servetest.Want(t, "status", last.ResponseStatus.Code, 401)
		servetest.Want(t, "reason", last.ResponseStatus.Reason, "bad\ntoken")
	}
	events := audited(t, AuditOptions{}, func(a *Audit) {
		through(plainOK, request("GET", "/"), a, NewAuthorization(AuthorizationOptions{Authorizer: decides(DecisionDeny, "no", nil), Refused: a.Refused}))
	})
	servetest.Want(t, "an authorizer's reason", events[1].ResponseStatus.Reason, "no")
}

func TestAuditHostile(t *testing.T) {
	groups := make([]string, 10*maxAuditGroups)
	for i := range groups {
		groups[i] = strings.Repeat("g\x00", maxAuditField)
	}
	r := request(strings.Repeat("X", 5000), "/")
	r.URL.Path = "/" + strings.Repeat("\x1b[2J\n\"\xff\u2028", maxAuditPath)
	r.Header["User-Agent"] = []string{strings.Repeat("\r\n{\"stage\":\"Panic\"}", 1000)}
	r.Proto, r.RemoteAddr = strings.Repeat("\x7f\u0085", 1000), "@"
	var log bytes.Buffer
	a := NewAudit(AuditOptions{Sink: &log})
	through(plainOK, r, known{&User{Name: strings.Repeat("\\", 9999), UID: strings.Repeat("\n", 9999), Groups: groups}}, a)
	servetest.Must(t, "shutdown", a.Shutdown(t.Context()))
	servetest.Want(t, "lines", strings.Count(log.String(), "\n"), 2)
	const most = 6*(maxAuditPath+(5+maxAuditGroups)*maxAuditField) + 2048
	servetest.Want(t, "bounded", log.Len() < 2*most, true)
	for _, c := range log.String() {
		if c < ' ' && c != '\n' || c >= 0x7f && c < 0xa0 || c == 0x2028 {
			t.Fatalf("control character %q in the log", c)
		}
	}
	var e auditEvent
	servetest.Must(t, "JSON", json.NewDecoder(&log).Decode(&e))
	servetest.Want(t, "cut", strings.HasSuffix(e.RequestURI, "..."), true)
	servetest.Want(t, "groups", len(e.User.Groups), maxAuditGroups)
}

func TestHostOf(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1", "[2001:db8::1]:80": "2001:db8::1", "[fe80::1%eth0]:1": "fe80::1%eth0", "@": "@", "": "", "[::1]": "::1",
	} {
		servetest.Want(t, addr, hostOf(addr), want)
	}
}

// What is written is one JSON string that reads back as what was given.
func FuzzAuditString(f *testing.F) {
	f.Add("plain")
	f.Add("\x00\x1f\"\\/\x7f\u0085\u2028\xff\xed\xa0\x80é😀")
	f.Fuzz(func(t *testing.T, s string) {
		b := appendAuditString(nil, s, len(s))
		for _, c := range string(b) {
			if c < ' ' || c >= 0x7f && c < 0xa0 || c == 0x2028 || c == 0x2029 {
				t.Fatalf("%q is in %s", c, b)
			}
		}
		var got string
		if err := json.Unmarshal(b, &got); err != nil || !utf8.Valid(b) {
			t.Fatalf("%q: %s: %v", s, b, err)
		}
		want := string([]rune(s)) // each byte that is not UTF-8 becomes U+FFFD
		if got != want {
			t.Fatalf("%q became %q", want, got)
		}
	})
}

func BenchmarkAuditEvent(b *testing.B) {
	x := &Exchange{Request: benchRequest(), Received: benchTime, ID: "0123456789abcdef", User: &User{Name: "ann", Groups: []string{"users"}}}
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = appendAuditEvent(buf[:0], x, auditComplete, 200, benchTime)
	}
	if !json.Valid(buf) {
		b.Fatal(string(buf))
	}
}

func TestAuditNoSink(t *testing.T) {
	defer func() { servetest.Want(t, "a panic", recover() != nil, true) }()
	NewAudit(AuditOptions{})
}
