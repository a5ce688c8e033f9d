package serve_test

import (
	"flag"
	"strings"
	"sync"
	"testing"
)

// difference is a part of the oracle's notes in which we want to differ: one or
// more lines, or a piece of one that is changed everywhere. What is said of
// HTTP/2 and HTTP/3 together is said in HTTP/2's words.
type difference struct {
	name         string    // of the case
	over         protocols // zero: HTTP/1
	theirs, ours string
	reason       string
}

func (d *difference) versions() protocols {
	if d.over == 0 {
		return overH1
	}
	return d.over
}

// usedDifferences notes which were found, and over which protocol.
type usedDifferences struct {
	mu   sync.Mutex
	over map[*difference]protocols
}

// apply applies the case's wanted differences to the oracle's notes.
func (u *usedDifferences) apply(name string, over protocols, notes []string) (want []string) {
	text := strings.Join(notes, "\n") + "\n"
	in := strings.NewReplacer()
	if over == overH3 {
		in = inHTTP3
	}
	text = in.Replace(text)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over == nil {
		u.over = make(map[*difference]protocols)
	}
	for i := range wantedDifferences {
		d := &wantedDifferences[i]
		theirs, ours := in.Replace(d.theirs), in.Replace(d.ours)
		if d.name != name || d.versions()&over == 0 || !strings.Contains(text, theirs) {
			continue
		}
		text = strings.ReplaceAll(text, theirs, ours)
		u.over[d] |= over
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// wantAll fails the test for differences that the oracle's notes do not have.
func (u *usedDifferences) wantAll(t *testing.T) {
	t.Helper()
	for i := range wantedDifferences {
		if d := &wantedDifferences[i]; u.over[d] != d.versions() {
			t.Errorf("wanted difference of %q is none any more, or not everywhere: %q", d.name, d.theirs)
		}
	}
}

func TestDifferencesHaveReasons(t *testing.T) {
	for _, d := range wantedDifferences {
		if d.reason == "" || d.theirs == d.ours {
			t.Errorf("%s: %q is no difference, or has no reason", d.name, d.theirs)
		}
	}
}

// flagRunsAll tells that no -run leaves cases out.
func flagRunsAll() bool {
	f := flag.Lookup("test.run")
	return f == nil || f.Value.String() == "" || f.Value.String() == "TestCompat"
}

// wantedDifferences are all places where our server and net/http's answer the
// same question differently on purpose.
var wantedDifferences = []difference{
	{
		name:   "request as the handler sees it",
		over:   overAll,
		theirs: "host Example.COM:81",
		ours:   "host example.com:81",
		reason: "rule H1-9: one spelling of a host for all that compare it",
	},
	{
		name:   "targets",
		theirs: "/x#frag\n" + empty200,
		ours:   "/x#frag\n" + error400,
		reason: "rule H1-11: '#' is not of a request target (RFC 9112 §3.2)",
	},
	{
		name:   "targets",
		theirs: "/x#frag: path \"/x#frag\" raw \"/x#frag\" query \"\" host \"host.example\" url host \"\" scheme \"\"\nform \"\" map[]\n",
		ours:   "",
		reason: "as above: the handler is not called",
	},
	{
		name:   "targets",
		theirs: "http://absolute.example/p?q\n" + empty200,
		ours:   "http://absolute.example/p?q\n" + error400,
		reason: "rule H1-10: an absolute-form target and Host must agree",
	},
	{
		name:   "targets",
		theirs: "http://absolute.example:81\n" + empty200,
		ours:   "http://absolute.example:81\n" + error400,
		reason: "rule H1-10: an absolute-form target and Host must agree",
	},
	{
		name:   "targets",
		theirs: "http://absolute.example/p?q: path \"/p\" raw \"\" query \"q\" host \"absolute.example\" url host \"absolute.example\" scheme \"http\"\nform \"\" map[\"q\":[\"\"]]\n",
		ours:   "",
		reason: "as above: the handler is not called",
	},
	{
		name:   "targets",
		theirs: "http://absolute.example:81: path \"\" raw \"\" query \"\" host \"absolute.example:81\" url host \"absolute.example:81\" scheme \"http\"\nform \"\" map[]\n",
		ours:   "",
		reason: "as above: the handler is not called",
	},
	{
		name:   "answer sizes",
		theirs: "/4000/1\n" + chunkedOctets,
		ours:   "/4000/1\n" + lengthOctets("4000"),
		reason: "a body up to 8 KiB is kept back until its length is known; net/http: 2 KiB",
	},
	{
		name:   "answer sizes",
		theirs: "/1000/5\n" + chunkedOctets,
		ours:   "/1000/5\n" + lengthOctets("5000"),
		reason: "a body up to 8 KiB is kept back until its length is known; net/http: 2 KiB",
	},
	{
		name:   "answer sizes",
		theirs: "/8192/1\n" + chunkedOctets,
		ours:   "/8192/1\n" + lengthOctets("8192"),
		reason: "a body up to 8 KiB is kept back until its length is known; net/http: 2 KiB",
	},
	{
		name:   "statuses",
		theirs: "/304?length\n< HTTP/1.1 304 Not Modified length 0 coding [] close false\n  Date; Etag",
		ours:   "/304?length\n< HTTP/1.1 304 Not Modified length 0 coding [] close false\n  Content-Length: [\"5\"]; Date; Etag",
		reason: "RFC 9110 §8.6 allows the length of what a 304 does not send, and the handler wants it",
	},
	{
		name:   "statuses",
		theirs: "HEAD /304?length\n< HTTP/1.1 304 Not Modified length -1 coding [] close false\n  Date; Etag",
		ours:   "HEAD /304?length\n< HTTP/1.1 304 Not Modified length 5 coding [] close false\n  Content-Length: [\"5\"]; Date; Etag",
		reason: "as above",
	},
	{
		name:   "trailers of answers",
		theirs: "X-Declared: [\"early\"]; \n  body",
		ours:   "\n  body",
		reason: "a field announced as a trailer is sent as one, and not twice",
	},
	{
		name:   "trailers of answers",
		theirs: "< HTTP/1.0 ",
		ours:   "< HTTP/1.1 ",
		reason: "RFC 9112 §2.3: a server names the version it conforms to, not the request's",
	},
	{
		name:   "early hints",
		theirs: "< HTTP/1.0 103 Early Hints length 0 coding [] close true\n  Link: [\"</a.css>; rel=preload\" \"</b.css>; rel=preload\"]; \n  body \"\"\n",
		ours:   "< HTTP/1.1 202 Accepted length 4 coding [] close true\n  Content-Length: [\"4\"]; Content-Type: [\"text/plain; charset=utf-8\"]; Date; X-Final: [\"1\"]; \n  body \"done\"\n",
		reason: "RFC 9110 §15.2: no 1xx answer to an HTTP/1.0 client, which takes it for the final one",
	},
	{
		name:   "length mismatch",
		theirs: "body error: cut\n  reused false\n> GET /none",
		ours:   "body error: cut\n  reused true\n> GET /none",
		reason: "a Write beyond Content-Length was refused and not sent: the framing is whole, and the connection serves the next request",
	},
	{
		name:   "handler's own framing",
		theirs: "> GET /te\n< HTTP/1.1 200 OK length -1 coding [chunked] close false\n  Date; ",
		ours:   "> GET /te\n< HTTP/1.1 200 OK length -1 coding [chunked] close false\n  Content-Type: [\"text/plain; charset=utf-8\"]; Date; ",
		reason: "a transfer coding says nothing of the content's type",
	},
	{
		name:   "handler's own framing",
		theirs: "/te/length\n< HTTP/1.1 200 OK length -1 coding [chunked] close false\n  Date; ",
		ours:   "/te/length\n< HTTP/1.1 200 OK length 4 coding [] close false\n  Content-Length: [\"4\"]; Content-Type: [\"text/plain; charset=utf-8\"]; Date; ",
		reason: "framing is the engine's; of the two the length tells more",
	},
	{
		name:   "handler's own framing",
		theirs: "/bad/length\n< HTTP/1.1 200 OK length -1 coding [chunked] close false\n  ",
		ours:   "/bad/length\n< HTTP/1.1 200 OK length 4 coding [] close false\n  Content-Length: [\"4\"]; ",
		reason: "a length that is none counts as not declared",
	},
	{
		name:   "handler's Connection",
		theirs: "  Connection: [\"keep-alive\"]; Content",
		ours:   "  Content",
		reason: "persistence is the engine's to tell; HTTP/1.1 persists without a word (RFC 9112 §9.3)",
	},
	{
		name:   "handler's Connection",
		theirs: "> Close\n" + answeredBody + "the connection is open: 200 OK",
		ours:   "> Close\n" + answeredBody + "the connection is closed",
		reason: "options are the same in any letter case (RFC 9110 §7.6.1): we said close and do",
	},
	{
		name:   "interfaces of the writer",
		over:   overAll,
		theirs: "CloseNotifier true",
		ours:   "CloseNotifier false",
		reason: "deprecated for ten years; the request's context tells",
	},
	{
		name:   "copy from a file",
		theirs: "  Content-Length: [\"100005\"]; Content-Type: [\"application/octet-stream\"]",
		ours:   "  Content-Length: [\"100005\"]; Content-Type: [\"text/plain; charset=utf-8\"]",
		reason: "with a declared length nothing is kept back: the type is told from the first Write",
	},
	{
		name:   "MaxBytesReader",
		theirs: "length 4 coding [] close true",
		ours:   "length 4 coding [] close false",
		reason: "MaxBytesReader tells net/http's writer alone, by a private method; ours drains a short rest and closes behind a long one (H1-13)",
	},
	{
		name:   "MaxBytesHandler",
		theirs: "length 0 coding [] close true",
		ours:   "length 0 coding [] close false",
		reason: "as for MaxBytesReader",
	},
	{
		name:   "hijack",
		theirs: "context context canceled",
		ours:   "context <nil>",
		reason: "after a hijack the connection is the handler's: a deadline of its own reads does not end the context",
	},
	{
		name:   "HTTP/1.0",
		theirs: "< HTTP/1.0 ",
		ours:   "< HTTP/1.1 ",
		reason: "RFC 9112 §2.3: a server names the version it conforms to, not the request's",
	},
	{
		name:   "refused heads",
		theirs: "Content-Length: 3\\r\\nTransfer-Encodin\": 200 close false",
		ours:   "Content-Length: 3\\r\\nTransfer-Encodin\": 400 close true",
		reason: "both framings in one head is how requests are smuggled (RFC 9112 §6.1)",
	},
	{
		name:   "refused heads",
		theirs: "served /\n",
		ours:   "",
		reason: "as above: the handler is not called",
	},
	{
		name:   "upgrade ignored",
		theirs: "upgrade to websocket\n< HTTP/1.1 200 OK length 12 coding [] close false\n  Content-Length: [\"12\"]; Content-Type: [\"text/plain; charset=utf-8\"]; Date; \n  body \"not upgraded\"\nthe connection is open: 200 OK",
		ours:   "upgrade to websocket\n< HTTP/1.1 200 OK length 12 coding [] close true\n  Content-Length: [\"12\"]; Content-Type: [\"text/plain; charset=utf-8\"]; Date; \n  body \"not upgraded\"\nthe connection is closed",
		reason: "rule H1-15 (RFC 9931): bytes of the other protocol may follow a refused upgrade",
	},
	{
		name:   "ServeMux",
		theirs: "GET *\n< HTTP/1.1 400 Bad Request length 0 coding [] close true\n  Content-Length: [\"0\"]; Date; \n  body \"\"\n",
		ours:   "GET *\n" + error400,
		reason: "rule H1-11: * goes with OPTIONS only; the engine refuses it, not the mux",
	},
	{
		name:   "CONNECT and odd methods",
		theirs: "CONNECT host.example:443\n" + empty200,
		ours:   "CONNECT host.example:443\n" + error405,
		reason: "rule H1-11: an origin tunnels nothing",
	},
	{
		name:   "CONNECT and odd methods",
		theirs: "TRACE /\n" + empty200,
		ours:   "TRACE /\n" + error405,
		reason: "rule H1-11: TRACE shows what proxies add",
	},
	{
		name:   "CONNECT and odd methods",
		theirs: "method CONNECT url \"//host.example:443\" host \"host.example:443\" uri \"host.example:443\"\n",
		ours:   "",
		reason: "as above: the handler is not called",
	},
	{
		name:   "CONNECT and odd methods",
		theirs: "method TRACE url \"/\" host \"host.example\" uri \"/\"\n",
		ours:   "",
		reason: "as above: the handler is not called",
	},

	// Over HTTP/2 and HTTP/3.
	{
		name:   "request as the handler sees it",
		over:   overStreams,
		theirs: "length 0 coding [] close false form map[] pattern \"\"\nheader User-Agent: [\"Go-http-client/2.0\"];  body \"\" nil\nremote true\nserver true local ADDR\nbody is NoBody false",
		ours:   "length 0 coding [] close false form map[] pattern \"\"\nheader User-Agent: [\"Go-http-client/2.0\"];  body \"\" nil\nremote true\nserver true local ADDR\nbody is NoBody true",
		reason: "a request without content has http.NoBody in every version: who passes it on looks at that",
	},
	{
		name:   "request as the handler sees it",
		over:   overStreams,
		theirs: "length 0 coding [] close false form map[] pattern \"\"\nheader Content-Length: [\"0\"]; User-Agent: [\"Go-http-client/2.0\"];  body \"\" nil\nremote true\nserver true local ADDR\nbody is NoBody false",
		ours:   "length 0 coding [] close false form map[] pattern \"\"\nheader Content-Length: [\"0\"]; User-Agent: [\"Go-http-client/2.0\"];  body \"\" nil\nremote true\nserver true local ADDR\nbody is NoBody true",
		reason: "as above",
	},
	{
		name:   "space around a value",
		over:   overStreams,
		theirs: empty200H2 + "the",
		ours:   refusedH2 + "the",
		reason: "rule H2-9 (RFC 9113 §8.2.1): a value neither begins nor ends with white space, else the message is malformed",
	},
	{
		name:   "space around a value",
		over:   overStreams,
		theirs: "field [\"  a b\\t\"]\n",
		ours:   "",
		reason: "as above: the handler is not called",
	},
	{
		name:   "targets",
		over:   overStreams,
		theirs: "/x#frag\n" + empty200H2,
		ours:   "/x#frag\n" + refusedH2,
		reason: "rule H2-9 (RFC 9113 §8.3.1): :path is a path and a query; '#' is of neither",
	},
	{
		name:   "targets",
		over:   overStreams,
		theirs: "http://absolute.example/p?q\n" + empty200H2,
		ours:   "http://absolute.example/p?q\n" + refusedH2,
		reason: "rule H2-9 (RFC 9113 §8.3.1): :path begins with /; the rest of a URI has fields of its own",
	},
	{
		name:   "targets",
		over:   overStreams,
		theirs: "http://absolute.example:81\n" + empty200H2,
		ours:   "http://absolute.example:81\n" + refusedH2,
		reason: "as above",
	},
	{
		name:   "targets",
		over:   overStreams,
		theirs: "/x#frag: path \"/x#frag\" raw \"/x#frag\" query \"\" host \"host.example\" url host \"\" scheme \"\"\nform \"\" map[]\n",
		ours:   "",
		reason: "as above: the handler is not called",
	},
	{
		name:   "targets",
		over:   overStreams,
		theirs: "http://absolute.example/p?q: path \"/p\" raw \"\" query \"q\" host \"host.example\" url host \"absolute.example\" scheme \"http\"\nform \"\" map[\"q\":[\"\"]]\n",
		ours:   "",
		reason: "as above: the handler is not called",
	},
	{
		name:   "targets",
		over:   overStreams,
		theirs: "http://absolute.example:81: path \"\" raw \"\" query \"\" host \"host.example\" url host \"absolute.example:81\" scheme \"http\"\nform \"\" map[]\n",
		ours:   "",
		reason: "as above: the handler is not called",
	},
	{
		name:   "CONNECT and odd methods",
		over:   overStreams,
		theirs: "CONNECT host.example:443\n" + empty200H2,
		ours:   "CONNECT host.example:443\n" + empty405H2,
		reason: "rule H1-11: an origin tunnels nothing",
	},
	{
		name:   "CONNECT and odd methods",
		over:   overStreams,
		theirs: "TRACE /\n" + empty200H2,
		ours:   "TRACE /\n" + empty405H2,
		reason: "rule H1-11: TRACE shows what proxies add",
	},
	{
		name:   "CONNECT and odd methods",
		over:   overStreams,
		theirs: "method CONNECT url \"//host.example:443\" host \"host.example:443\" uri \"host.example:443\"\n",
		ours:   "",
		reason: "as above: the handler is not called",
	},
	{
		name:   "CONNECT and odd methods",
		over:   overStreams,
		theirs: "method TRACE url \"/\" host \"host.example\" uri \"/\"\n",
		ours:   "",
		reason: "as above: the handler is not called",
	},
	{
		name:   "answer sizes",
		over:   overStreams,
		theirs: "/1000/5\n" + octetsH2,
		ours:   "/1000/5\n< HTTP/2.0 200 OK length 5000 coding [] close false\n  Content-Length: [\"5000\"]; Content-Type: [\"application/octet-stream\"]; Date; \n",
		reason: "a body up to 8 KiB is kept back until its length is known; net/http: 4 KiB over HTTP/2",
	},
	{
		name:   "answer sizes",
		over:   overStreams,
		theirs: "/8192/1\n" + octetsH2,
		ours:   "/8192/1\n< HTTP/2.0 200 OK length 8192 coding [] close false\n  Content-Length: [\"8192\"]; Content-Type: [\"application/octet-stream\"]; Date; \n",
		reason: "as above",
	},
	{
		name:   "statuses",
		over:   overStreams,
		theirs: "304 Not Modified length 5 coding [] close false\n  Content-Length: [\"5\"]; Content-Type: [\"text/x\"]; ",
		ours:   "304 Not Modified length 5 coding [] close false\n  Content-Length: [\"5\"]; ",
		reason: "RFC 9110 §15.4.5: a 304 describes no content; over HTTP/1 net/http leaves the type out too",
	},
	{
		name:   "statuses",
		over:   overStreams,
		theirs: "204 No Content length 5 coding [] close false\n  Content-Length: [\"5\"]; Content-Type: [\"text/x\"]; Date; Etag: [\"\\\"e\\\"\"]; \n  body \"\"\n  body error: cut\n",
		ours:   "204 No Content length 0 coding [] close false\n  Content-Type: [\"text/x\"]; Date; Etag: [\"\\\"e\\\"\"]; \n  body \"\"\n",
		reason: "RFC 9110 §8.6: no Content-Length in a 204; its client waits for the content",
	},
	{
		name:   "trailers of answers",
		over:   overStreams,
		theirs: "X-Declared: [\"early\"]; \n  body",
		ours:   "\n  body",
		reason: "a field announced as a trailer is sent as one, and not twice",
	},
	{
		name:   "trailers of answers",
		over:   overStreams,
		theirs: "> GET /\n< HTTP/2.0 200 OK length 4 coding [] close false\n  Content-Length: [\"4\"]; Content-Type: [\"text/plain; charset=utf-8\"]; Date; \n",
		ours:   "> GET /\n< HTTP/2.0 200 OK length -1 coding [] close false\n  Content-Type: [\"text/plain; charset=utf-8\"]; Date; \n",
		reason: "a length that the handler did not declare is left out before trailers: who passes the answer on as HTTP/1 would have to drop them (RFC 9112 §7.1)",
	},
	{
		name:   "trailers of answers",
		over:   overStreams,
		theirs: "> HEAD /\n< HTTP/2.0 200 OK length 4 coding [] close false\n  Content-Length: [\"4\"]; Content-Type: [\"text/plain; charset=utf-8\"]; Date; \n",
		ours:   "> HEAD /\n< HTTP/2.0 200 OK length -1 coding [] close false\n  Content-Type: [\"text/plain; charset=utf-8\"]; Date; \n",
		reason: "as above",
	},
	{
		name:   "trailers of answers",
		over:   overStreams,
		theirs: "> GET /early\n< HTTP/2.0 200 OK length 4 coding [] close false\n  Content-Length: [\"4\"]; Content-Type: [\"text/plain; charset=utf-8\"]; Date; \n",
		ours:   "> GET /early\n< HTTP/2.0 200 OK length -1 coding [] close false\n  Content-Type: [\"text/plain; charset=utf-8\"]; Date; \n",
		reason: "as above",
	},
	{
		name:   "trailers of answers",
		over:   overStreams,
		theirs: "> HEAD /early\n< HTTP/2.0 200 OK length 4 coding [] close false\n  Content-Length: [\"4\"]; Content-Type: [\"text/plain; charset=utf-8\"]; Date; \n",
		ours:   "> HEAD /early\n< HTTP/2.0 200 OK length -1 coding [] close false\n  Content-Type: [\"text/plain; charset=utf-8\"]; Date; \n",
		reason: "as above",
	},
	{
		name:   "trailers of requests",
		over:   overStreams,
		theirs: "body \"abc\" nil\ntrailer after \n",
		ours:   "body \"abc\" nil\ntrailer after X-Extra: [\"1\" \"2\"]; \n",
		reason: "announcing is optional (RFC 9110 §6.6.2): as over HTTP/1, the handler sees all trailers",
	},
	{
		name:   "length mismatch",
		over:   overStreams,
		theirs: "\n  body error: net/http: server replied with more than declared Content-Length; truncated\n",
		ours:   "\n",
		reason: "a Write beyond Content-Length is refused and not sent, as over HTTP/1",
	},
	{
		name:   "length mismatch",
		over:   overStreams,
		theirs: "1 <nil>\n",
		ours:   "0 http: wrote more than the declared Content-Length\n",
		reason: "as above",
	},
	{
		name:   "length mismatch",
		over:   overStreams,
		theirs: "body error: cut\n",
		ours:   "body error: cut: INTERNAL_ERROR\n",
		reason: "RFC 9113 §8.1.1: an answer shorter than it said is malformed; the reset says who knows of it",
	},
	{
		name:   "handler's Connection",
		over:   overStreams,
		theirs: "> Close\n< HTTP/2.0 200 OK length 4 coding [] close false\n  Content-Length: [\"4\"]; Content-Type: [\"text/plain; charset=utf-8\"]; Date; \n  body \"body\"\nthe connection is open: 200 OK",
		ours:   "> Close\n< HTTP/2.0 200 OK length 4 coding [] close false\n  Content-Length: [\"4\"]; Content-Type: [\"text/plain; charset=utf-8\"]; Date; \n  body \"body\"\nthe connection is closed",
		reason: "options are the same in any letter case (RFC 9110 §7.6.1): the handler said close",
	},
	{
		name:   "injection",
		over:   overStreams,
		theirs: "Lower-Case: [\" trimmed \"]; ",
		ours:   "Lower-Case: [\"trimmed\"]; X-Inject: [\"a  Set-Cookie: b\"]; ",
		reason: "RFC 9113 §8.2.1: no white space at the ends of a value; H1-16: forbidden bytes become spaces in every version, net/http drops the field",
	},
	{
		name:   "interfaces of the writer",
		over:   overStreams,
		theirs: "ReaderFrom false Pusher true",
		ours:   "ReaderFrom true Pusher false",
		reason: "io.Copy goes through a pooled buffer; no pushes (no browser takes them any more)",
	},
	{
		name:   "copy from a file",
		over:   overStreams,
		theirs: "/head copied 0 http2: request body closed due to handler exiting offset 32768\n",
		ours:   "/head copied 300000 nil offset 300000\n",
		reason: "the content of HEAD is thrown away in every version: a handler need not know the method",
	},
	{
		name:   "body after Close",
		over:   overStreams,
		theirs: "read 0 body closed by handler\n",
		ours:   "read 0 http: invalid Read on closed Body\n",
		reason: "http.ErrBodyReadAfterClose, as over HTTP/1: who compares finds it",
	},
	{
		name:   "no hijack",
		over:   overStreams,
		theirs: "interim 101\n",
		ours:   "",
		reason: "RFC 9113 §8.6: HTTP/2 has no 101",
	},
	{
		name:   "no hijack",
		over:   overStreams,
		theirs: "Upgrade: [\"thing\"]; ",
		ours:   "",
		reason: "RFC 9113 §8.2.2: Upgrade is of the connection, and HTTP/2 has none",
	},
	{
		name:   "ServeMux",
		over:   overStreams,
		theirs: "GET *\n< HTTP/2.0 400 Bad Request length 0 coding [] close false\n  Content-Length: [\"0\"]; Date; \n  body \"\"\n",
		ours:   "GET *\nno answer to OPTIONS: cut: PROTOCOL_ERROR\n",
		reason: "rule H2-9 (RFC 9113 §8.3.1): * goes with OPTIONS only",
	},

	// Over HTTP/3 alone.
	{
		name:   "request as the handler sees it",
		over:   overH3,
		theirs: "/chunked/empty host ADDR proto HTTP/2.0 2.0\nlength -1 coding [] close false form map[] pattern \"\"\nheader User-Agent: [\"Go-http-client/2.0\"];  body \"\" nil\nremote true\nserver true local ADDR\nbody is NoBody false",
		ours:   "/chunked/empty host ADDR proto HTTP/2.0 2.0\nlength 0 coding [] close false form map[] pattern \"\"\nheader User-Agent: [\"Go-http-client/2.0\"];  body \"\" nil\nremote true\nserver true local ADDR\nbody is NoBody true",
		reason: "net/http's client ends an empty content of unknown length by a frame of its own, quic-go's by the end of the stream alone",
	},
	{
		name:   "statuses",
		over:   overH3,
		theirs: "> GET /304\n< HTTP/2.0 304 Not Modified length 0 ",
		ours:   "> GET /304\n< HTTP/2.0 304 Not Modified length -1 ",
		reason: "a head without a length: quic-go's client does not conclude from the status",
	},
	{
		name:   "statuses",
		over:   overH3,
		theirs: "\n  body error: cut\n",
		ours:   "\n",
		reason: "a 304 tells a length that it does not send (RFC 9110 §8.6): net/http's client takes the content for lost",
	},
	{
		name:   "FileServer",
		over:   overH3,
		theirs: "304 Not Modified length 0 ",
		ours:   "304 Not Modified length -1 ",
		reason: "as for the statuses",
	},
	{
		name:   "trailers of answers",
		over:   overH3,
		theirs: "X-Other: [\"1\" \"2\"]; X-Unset: []; ",
		ours:   "X-Other: [\"1\" \"2\"]; ",
		reason: "quic-go's client shows the trailers that came, not those that were announced",
	},
	{
		name:   "length mismatch",
		over:   overH3,
		theirs: "> GET /less\n< HTTP/2.0 200 OK length 10 coding [] close false\n  Content-Length: [\"10\"]; Content-Type: [\"text/plain; charset=utf-8\"]; Date; \n  body \"01234\"\n  body error: cut: INTERNAL_ERROR\n  reused true\n",
		ours:   "/less: an error\n",
		reason: "RFC 9000 §3.2: a reset may overtake what was sent before it, the head as well",
	},
	{
		name:   "length mismatch",
		over:   overH3,
		theirs: "> GET /none\n< HTTP/2.0 200 OK length 10 coding [] close false\n  Content-Length: [\"10\"]; Date; \n  body \"\"\n  body error: cut: INTERNAL_ERROR\n  reused true\n",
		ours:   "/none: an error\n",
		reason: "as above",
	},
	{
		name:   "context values",
		over:   overH3,
		theirs: "conn c ",
		ours:   "conn <nil> ",
		reason: "ConnContext is given a net.Conn, which QUIC has none of",
	},
}

// Answers that the differences name.
const (
	empty200      = "< HTTP/1.1 200 OK length 0 coding [] close true\n  Content-Length: [\"0\"]; Date; \n  body \"\"\n"
	error400      = "< HTTP/1.1 400 Bad Request length 12 coding [] close true\n  Content-Length: [\"12\"]; Content-Type: [\"text/plain; charset=utf-8\"]; Date; \n  body \"Bad Request\\n\"\n"
	error405      = "< HTTP/1.1 405 Method Not Allowed length 19 coding [] close true\n  Content-Length: [\"19\"]; Content-Type: [\"text/plain; charset=utf-8\"]; Date; \n  body \"Method Not Allowed\\n\"\n"
	answeredBody  = "< HTTP/1.1 200 OK length 4 coding [] close true\n  Content-Length: [\"4\"]; Content-Type: [\"text/plain; charset=utf-8\"]; Date; \n  body \"body\"\n"
	empty200H2    = "< HTTP/2.0 200 OK length 0 coding [] close false\n  Content-Length: [\"0\"]; Date; \n  body \"\"\n"
	empty405H2    = "< HTTP/2.0 405 Method Not Allowed length 0 coding [] close false\n  Content-Length: [\"0\"]; Date; \n  body \"\"\n"
	refusedH2     = "no answer to GET: cut: PROTOCOL_ERROR\n"
	octetsH2      = "< HTTP/2.0 200 OK length -1 coding [] close false\n  Content-Type: [\"application/octet-stream\"]; Date; \n"
	chunkedOctets = "< HTTP/1.1 200 OK length -1 coding [chunked] close false\n  Content-Type: [\"application/octet-stream\"]; Date; \n"
)

func lengthOctets(n string) string {
	return "< HTTP/1.1 200 OK length " + n + " coding [] close false\n  Content-Length: [\"" + n + "\"]; Content-Type: [\"application/octet-stream\"]; Date; \n"
}
