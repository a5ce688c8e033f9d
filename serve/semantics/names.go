package semantics

import "net/textproto"

// knownNames are the field names that need no allocation, in the form that
// net/http gives them.
var knownNames = [...]string{
	"Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Accept-Ranges", "Access-Control-Request-Headers",
	"Access-Control-Request-Method", "Age", "Allow", "Alt-Svc", "Alt-Used", "Authorization", "Cache-Control", "Cdn-Loop",
	"Connection", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length", "Content-Location",
	"Content-Range", "Content-Type", "Cookie", "Date", "Dnt", "Early-Data", "Etag", "Expect", "Expires", "Forwarded", "From",
	"Host", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Keep-Alive",
	"Last-Modified", "Link", "Location", "Max-Forwards", "Origin", "Pragma", "Priority", "Proxy-Authorization",
	"Proxy-Connection", "Range", "Referer", "Retry-After", "Save-Data", "Sec-Ch-Ua", "Sec-Ch-Ua-Mobile",
	"Sec-Ch-Ua-Platform", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Fetch-User", "Sec-Gpc",
	"Sec-Purpose", "Sec-Websocket-Extensions", "Sec-Websocket-Key", "Sec-Websocket-Protocol", "Sec-Websocket-Version",
	"Server", "Set-Cookie", "Te", "Traceparent", "Tracestate", "Trailer", "Transfer-Encoding", "Upgrade",
	"Upgrade-Insecure-Requests", "User-Agent", "Vary", "Via", "Www-Authenticate", "X-Correlation-Id", "X-Forwarded-For",
	"X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Real-Ip", "X-Request-Id", "X-Requested-With",
}

const maxKnownName = 32

// byLength holds the known names by their length.
var byLength = func() (t [maxKnownName + 1][]string) {
	for _, n := range knownNames {
		t[len(n)] = append(t[len(n)], n)
	}
	return t
}()

// CanonicalName returns the canonical form of a field name, as
// textproto.CanonicalMIMEHeaderKey gives it. b must be a token. Known names
// are interned: no allocation, whatever their letter case.
func CanonicalName(b []byte) string {
	if len(b) <= maxKnownName {
		for _, n := range byLength[len(b)] {
			if string(b) == n || equalNames(b, n) {
				return n
			}
		}
	}
	return textproto.CanonicalMIMEHeaderKey(string(b))
}

// equalNames compares in any letter case. Both are tokens, so folding bit 5 can
// join only '^' '~', '@' '`' and their like with each other; those are compared exactly.
func equalNames(b []byte, name string) bool {
	if (b[0]^name[0])&^0x20 != 0 {
		return false
	}
	for i := range len(name) {
		if c, n := b[i], name[i]; c != n {
			if c^n != 0x20 || (n|0x20) < 'a' || (n|0x20) > 'z' {
				return false
			}
		}
	}
	return true
}
