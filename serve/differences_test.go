package serve_test

import (
	"flag"
	"strings"
	"testing"
)

// difference is a part of the oracle's notes in which we want to differ: one or
// more lines, or a piece of one that is changed everywhere.
type difference struct {
	name         string // of the case
	theirs, ours string
	reason       string
}

// withDifferences applies the case's wanted differences to the oracle's notes.
func withDifferences(name string, notes []string) (want []string, applied []*difference) {
	text := strings.Join(notes, "\n") + "\n"
	for i := range wantedDifferences {
		d := &wantedDifferences[i]
		if d.name != name || !strings.Contains(text, d.theirs) {
			continue
		}
		text = strings.ReplaceAll(text, d.theirs, d.ours)
		applied = append(applied, d)
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n"), applied
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
		theirs: "\"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n\": 200 close true",
		ours:   "\"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n\": 505 close true",
		reason: "rule H1-11: an HTTP/2 preface is no request here",
	},
	{
		name:   "refused heads",
		theirs: "served /\nserved *\n",
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
		theirs: "GET * HTTP/1.1\n< HTTP/1.1 400 Bad Request length 0 coding [] close true\n  Content-Length: [\"0\"]; Date; \n  body \"\"\n",
		ours:   "GET * HTTP/1.1\n" + error400,
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
		theirs: "method TRACE url \"/\" host \"host.example:443\" uri \"/\"\n",
		ours:   "",
		reason: "as above: the handler is not called",
	},
}

// Answers that the differences name.
const (
	empty200      = "< HTTP/1.1 200 OK length 0 coding [] close true\n  Content-Length: [\"0\"]; Date; \n  body \"\"\n"
	error400      = "< HTTP/1.1 400 Bad Request length 12 coding [] close true\n  Content-Length: [\"12\"]; Content-Type: [\"text/plain; charset=utf-8\"]; Date; \n  body \"Bad Request\\n\"\n"
	error405      = "< HTTP/1.1 405 Method Not Allowed length 19 coding [] close true\n  Content-Length: [\"19\"]; Content-Type: [\"text/plain; charset=utf-8\"]; Date; \n  body \"Method Not Allowed\\n\"\n"
	answeredBody  = "< HTTP/1.1 200 OK length 4 coding [] close true\n  Content-Length: [\"4\"]; Content-Type: [\"text/plain; charset=utf-8\"]; Date; \n  body \"body\"\n"
	chunkedOctets = "< HTTP/1.1 200 OK length -1 coding [chunked] close false\n  Content-Type: [\"application/octet-stream\"]; Date; \n"
)

func lengthOctets(n string) string {
	return "< HTTP/1.1 200 OK length " + n + " coding [] close false\n  Content-Length: [\"" + n + "\"]; Content-Type: [\"application/octet-stream\"]; Date; \n"
}
