package hpack

// policy is what the encoder does with a field of a name. The zero value is that
// of unknown names.
type policy uint8

const (
	// onRepeat inserts a pair when it is seen the second time: names that may
	// stand for one answer only, such as x-request-id.
	onRepeat policy = iota
	// atOnce inserts a pair at first sight: names whose values repeat.
	atOnce
	// never inserts nothing: the value belongs to one resource or one answer, and
	// would only push out what repeats.
	never
	// secret is never, and tells every later hop to do likewise (RFC 7541 §7.1.3):
	// an entry in a table can be guessed by whoever else may add fields to it (§7.1).
	// The RFC names Cookie and Authorization; length is no criterion here, as
	// the representation costs us the same bytes.
	secret
)

// knownName is a field name that needs no allocation.
type knownName struct {
	lower     string // as HTTP/2 sends it
	canonical string // as net/http writes it
	static    uint8  // its first index in the static table, or 0
	policy    policy
}

// names: number 0 stands for unknown ones, then come those of the static
// table, then others. It is made once; nothing that a peer sends adds to it
// (rule H2-10).
var names = newNames()

type nameTable struct {
	all [192]knownName
	n   int
	// index maps hashes to numbers; a slot that is taken leads to the next.
	index [512]uint8
}

// otherNames are those that clients and servers commonly send.
var otherNames = [...]string{
	"access-control-allow-credentials", "access-control-allow-headers", "access-control-allow-methods",
	"access-control-expose-headers", "access-control-max-age", "access-control-request-headers",
	"access-control-request-method", "alt-svc", "alt-used", "cdn-loop", "content-security-policy",
	"cross-origin-embedder-policy", "cross-origin-opener-policy", "cross-origin-resource-policy", "dnt", "early-data",
	"expect-ct", "forwarded", "grpc-accept-encoding", "grpc-encoding", "grpc-message", "grpc-status", "grpc-timeout",
	"keep-alive", "nel", "origin", "permissions-policy", "pragma", "priority", ":protocol", "proxy-connection", "purpose",
	"referrer-policy", "report-to", "save-data", "sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform", "sec-fetch-dest",
	"sec-fetch-mode", "sec-fetch-site", "sec-fetch-user", "sec-gpc", "sec-purpose", "sec-websocket-extensions",
	"sec-websocket-key", "sec-websocket-protocol", "sec-websocket-version", "server-timing", "te",
	"timing-allow-origin", "traceparent", "tracestate", "trailer", "upgrade", "upgrade-insecure-requests",
	"x-content-type-options", "x-correlation-id", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port",
	"x-forwarded-proto", "x-frame-options", "x-powered-by", "x-real-ip", "x-request-id", "x-requested-with",
	"x-xss-protection",
}

// policies of known names that are not atOnce.
var policies = map[policy][]string{
	// In proxied requests too: most differ from one to the next.
	onRepeat: {
		":path", "content-disposition", "content-location", "forwarded", "grpc-message", "grpc-timeout", "link",
		"referer", "retry-after", "server-timing", "traceparent", "tracestate", "x-correlation-id",
		"x-forwarded-for", "x-real-ip", "x-request-id",
	},
	never: {
		"age", "content-length", "content-range", "etag", "expires", "if-match", "if-modified-since",
		"if-none-match", "if-range", "if-unmodified-since", "last-modified", "location", "range", "sec-websocket-key",
	},
	secret: {"authorization", "cookie", "proxy-authorization", "set-cookie"},
}

func newNames() *nameTable {
	t := &nameTable{n: 1}
	for i := 1; i <= staticEntries; i++ {
		if i == 1 || staticTable[i].name != staticTable[i-1].name {
			t.add(staticTable[i].name, uint8(i))
		}
	}
	for _, n := range otherNames {
		t.add(n, 0)
	}
	for p, list := range policies {
		for _, n := range list {
			t.all[t.find(n, hashName(n))].policy = p
		}
	}
	return t
}

func (t *nameTable) add(lower string, static uint8) {
	t.all[t.n] = knownName{lower, canonicalName(lower), static, atOnce}
	i := hashName(lower) >> indexShift
	for t.index[i] != 0 {
		i = (i + 1) % uint32(len(t.index))
	}
	t.index[i] = uint8(t.n)
	t.n++
}

// canonicalName is textproto.CanonicalMIMEHeaderKey for names in lower case.
func canonicalName(lower string) string {
	b := []byte(lower)
	for i := range b {
		if (i == 0 || b[i-1] == '-') && b[0] != ':' {
			b[i] = upper(b[i])
		}
	}
	return string(b)
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		c -= 'a' - 'A'
	}
	return c
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// indexShift leaves of a hash the bits that index has.
const indexShift = 32 - 9

// hashName is the same for all letter cases of a name. Four octets and the
// length tell the known names apart well (TestNames/probes).
func hashName[T string | []byte](s T) uint32 {
	n := len(s)
	if n == 0 {
		return 0
	}
	h := uint32(s[0]) | uint32(s[n/2])<<8 | uint32(s[n-1])<<16 | uint32(s[n*3/4])<<24
	return ((h | 0x20202020) + uint32(n)*0x01000193) * 0x9e3779b1
}

// find returns the number of s, which may be in any letter case and has the
// given hash; 0: unknown.
func (t *nameTable) find(s string, hash uint32) uint8 {
	i := hash >> indexShift
	for {
		id := t.index[i]
		if id == 0 {
			return 0
		}
		if n := &t.all[id]; n.canonical == s || n.lower == s || equalFold(s, n.lower) {
			return id
		}
		i = (i + 1) % uint32(len(t.index))
	}
}

// intern returns the constant for b, which is as a peer sent it.
func (t *nameTable) intern(b []byte) (string, bool) {
	i := hashName(b) >> indexShift
	for {
		id := t.index[i]
		if id == 0 {
			return "", false
		}
		if n := &t.all[id]; n.lower == string(b) {
			return n.lower, true
		}
		i = (i + 1) % uint32(len(t.index))
	}
}

// equalFold compares two names in any letter case.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if a[i] != b[i] && lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}
