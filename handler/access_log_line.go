package handler

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// maxLogLine is what one line takes as a rule. Longer ones are possible: escapes
	// make six bytes of one, so the bounds below give 26 KiB (TestAccessLogLongest).
	maxLogLine = 4 << 10
	// maxLogPath bounds path and query, each, in the client's bytes.
	maxLogPath = 1 << 10
	// maxLogValue bounds each of the other values.
	maxLogValue = 256
)

// appendLine appends the line of x with its end.
func (l *AccessLog) appendLine(dst []byte, x *Exchange, took time.Duration) []byte {
	r := x.Request
	dst = append(dst, `{"time":"`...)
	dst = appendTime(dst, x.Received)
	dst = append(dst, '"')
	dst = appendMember(dst, `,"id":`, x.ID, maxLogValue)
	client := r.RemoteAddr
	if l.opts.Client != nil {
		client = l.opts.Client(x)
	}
	dst = appendMember(dst, `,"client":`, client, maxLogValue)
	dst = appendMember(dst, `,"method":`, r.Method, maxLogValue)
	dst = appendMember(dst, `,"host":`, r.Host, maxLogValue)
	dst = appendMember(dst, `,"path":`, r.URL.Path, maxLogPath)
	if l.opts.Query && r.URL.RawQuery != "" {
		dst = appendQuery(append(dst, `,"query":`...), r.URL.RawQuery)
	}
	dst = appendMember(dst, `,"protocol":`, r.Proto, maxLogValue)
	dst = append(dst, `,"status":`...)
	dst = strconv.AppendInt(dst, int64(loggedStatus(x)), 10)
	dst = append(dst, `,"bytes":`...)
	dst = strconv.AppendInt(dst, x.Written(), 10)
	dst = append(dst, `,"seconds":`...)
	dst = appendSeconds(dst, took)
	dst = appendMember(dst, `,"route":`, x.Info.Route, maxLogValue)
	dst = appendMember(dst, `,"upstream":`, x.Upstream, maxLogValue)
	dst = appendMember(dst, `,"reason":`, x.Reason, maxLogValue)
	if x.User != nil {
		dst = appendMember(dst, `,"user":`, x.User.Name, maxLogValue)
	}
	dst = appendMember(dst, `,"agent":`, first(r.Header["User-Agent"]), maxLogValue)
	dst = appendMember(dst, `,"referer":`, publicReferer(first(r.Header["Referer"])), maxLogValue)
	if x.Aborted() {
		dst = append(dst, `,"aborted":true`...)
	}
	return append(dst, '}', '\n')
}

// appendTime appends t in UTC as RFC 3339 with milliseconds, always the same
// length. time.AppendFormat takes five times as long, a quarter of the line
// (BenchmarkStages/access_log).
func appendTime(dst []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = appendDigits(dst, year, 1000)
	dst = appendDigits(append(dst, '-'), int(month), 10)
	dst = appendDigits(append(dst, '-'), day, 10)
	dst = appendDigits(append(dst, 'T'), hour, 10)
	dst = appendDigits(append(dst, ':'), minute, 10)
	dst = appendDigits(append(dst, ':'), second, 10)
	dst = appendDigits(append(dst, '.'), t.Nanosecond()/1e6, 100)
	return append(dst, 'Z')
}

// appendDigits appends n with leading zeros; unit is that of its first digit.
func appendDigits(dst []byte, n, unit int) []byte {
	for ; unit > 0; unit /= 10 {
		dst = append(dst, byte('0'+n/unit%10))
	}
	return dst
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// publicReferer is s without query, fragment and user info.
func publicReferer(s string) string {
	if i := strings.IndexAny(s, "?#"); i >= 0 {
		s = s[:i]
	}
	if strings.IndexByte(s, '@') >= 0 {
		return ""
	}
	return s
}

// appendSeconds appends d with microseconds, without the cost of a float.
func appendSeconds(dst []byte, d time.Duration) []byte {
	us := max(0, d.Microseconds())
	dst = strconv.AppendInt(dst, us/1e6, 10)
	return appendDigits(append(dst, '.'), int(us%1e6), 1e5)
}

// appendMember appends name, which comes with its punctuation, and the value;
// nothing for an empty value. Of a long value limit bytes are kept.
func appendMember(dst []byte, name, value string, limit int) []byte {
	if value == "" {
		return dst
	}
	return appendJSON(append(dst, name...), value, limit)
}

// appendJSON appends value as a JSON string.
func appendJSON(dst []byte, value string, limit int) []byte {
	dst = append(dst, '"')
	if len(value) > limit {
		for limit > 0 && !utf8.RuneStart(value[limit]) {
			limit--
		}
		dst = append(appendEscaped(dst, value[:limit]), "…"...)
	} else {
		dst = appendEscaped(dst, value)
	}
	return append(dst, '"')
}

// appendEscaped escapes what JSON demands, and all that is not printed: control
// bytes, C1 controls, changes of direction, invalid UTF-8 (as U+FFFD).
func appendEscaped(dst []byte, s string) []byte {
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf && plainByte[c] {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if c >= utf8.RuneSelf && unicode.IsPrint(r) && (r != utf8.RuneError || size > 1) {
			i += size
			continue
		}
		dst = append(dst, s[from:i]...)
		dst = appendEscape(dst, r)
		i += size
		from = i
	}
	return append(dst, s[from:]...)
}

func appendEscape(dst []byte, r rune) []byte {
	switch {
	case r == '"' || r == '\\':
		return append(dst, '\\', byte(r))
	case r > 0xffff: // RFC 8259 §7: as a surrogate pair
		r -= 0x10000
		dst = appendUnit(dst, 0xd800|r>>10)
		return appendUnit(dst, 0xdc00|r&0x3ff)
	}
	return appendUnit(dst, r)
}

func appendUnit(dst []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	return append(dst, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}

// plainByte are the bytes of ASCII that stand for themselves.
var plainByte = func() (t [utf8.RuneSelf]bool) {
	for c := range t {
		t[c] = c >= ' ' && c < 0x7f && c != '"' && c != '\\'
	}
	return t
}()
