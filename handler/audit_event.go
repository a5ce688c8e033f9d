package handler

import (
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of what is written of a request. TestAuditHostile crosses them.
const (
	maxAuditPath   = 2048
	maxAuditField  = 256
	maxAuditGroups = 32
)

const auditTime = "2006-01-02T15:04:05.000000Z"

// appendAuditEvent appends one line.
func appendAuditEvent(b []byte, x *Exchange, stage string, status int, now time.Time) []byte {
	r := x.Request
	b = append(b, `{"stage":"`...)
	b = append(b, stage...)
	b = append(b, `","auditID":`...)
	b = appendAuditString(b, x.ID, maxAuditField)
	b = append(b, `,"verb":`...)
	b = appendAuditString(b, auditVerb(r.Method), maxAuditField)
	b = append(b, `,"requestURI":`...)
	b = appendAuditString(b, r.URL.Path, maxAuditPath)
	b = append(b, `,"protocol":`...)
	b = appendAuditString(b, r.Proto, maxAuditField)
	if x.User != nil {
		b = appendAuditUser(b, x.User)
	}
	b = append(b, `,"sourceIPs":[`...)
	b = appendAuditString(b, hostOf(r.RemoteAddr), maxAuditField)
	b = append(b, ']')
	if agent := r.Header["User-Agent"]; len(agent) > 0 {
		b = append(b, `,"userAgent":`...)
		b = appendAuditString(b, agent[0], maxAuditField)
	}
	if status != 0 {
		b = append(b, `,"responseStatus":{"code":`...)
		b = strconv.AppendInt(b, int64(status), 10)
		if x.auditReason != "" {
			b = append(b, `,"reason":`...)
			b = appendAuditString(b, x.auditReason, maxAuditField)
		}
		b = append(b, '}')
	}
	b = append(b, `,"requestReceivedTimestamp":"`...)
	b = x.Received.UTC().AppendFormat(b, auditTime)
	b = append(b, `","stageTimestamp":"`...)
	b = now.UTC().AppendFormat(b, auditTime)
	return append(b, "\"}\n"...)
}

// auditVerb is the method as kube-apiserver writes it. Those in use cost no allocation.
func auditVerb(method string) string {
	switch method {
	case http.MethodGet:
		return "get"
	case http.MethodHead:
		return "head"
	case http.MethodPost:
		return "post"
	case http.MethodPut:
		return "put"
	case http.MethodPatch:
		return "patch"
	case http.MethodDelete:
		return "delete"
	case http.MethodOptions:
		return "options"
	}
	return strings.ToLower(method)
}

func appendAuditUser(b []byte, u *User) []byte {
	b = append(b, `,"user":{"username":`...)
	b = appendAuditString(b, u.Name, maxAuditField)
	if u.UID != "" {
		b = append(b, `,"uid":`...)
		b = appendAuditString(b, u.UID, maxAuditField)
	}
	for i, g := range u.Groups[:min(len(u.Groups), maxAuditGroups)] {
		if i == 0 {
			b = append(b, `,"groups":[`...)
		} else {
			b = append(b, ',')
		}
		b = appendAuditString(b, g, maxAuditField)
	}
	if len(u.Groups) > 0 {
		b = append(b, ']')
	}
	return append(b, '}')
}

// hostOf is the address without its port.
func hostOf(addr string) string {
	if i := strings.LastIndexByte(addr, ':'); i >= 0 && strings.IndexByte(addr[i:], ']') < 0 {
		addr = addr[:i]
	}
	return strings.Trim(addr, "[]")
}

// appendAuditString appends s as a JSON string, of limit bytes of s at most. Beyond
// what JSON wants it escapes DEL, the C1 controls and the separators of Unicode, so
// that no terminal or reader of lines is steered by a client (rule P-6). What is
// not UTF-8 becomes U+FFFD; what was cut ends in three points.
func appendAuditString(b []byte, s string, limit int) []byte {
	cut := len(s) > limit
	if cut {
		s = s[:limit]
	}
	b = append(b, '"')
	for i := 0; i < len(s); {
		// What needs no care goes over at once (BenchmarkAuditEvent).
		from := i
		for i < len(s) && s[i] >= ' ' && s[i] < 0x7f && s[i] != '"' && s[i] != '\\' {
			i++
		}
		b = append(b, s[from:i]...)
		if i == len(s) {
			break
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == utf8.RuneError && size == 1:
			b = append(b, "\uFFFD"...)
		case r < 0xa0 || r == 0x2028 || r == 0x2029:
			b = appendUnicodeEscape(b, r)
		default:
			b = append(b, s[i:i+size]...)
		}
		i += size
	}
	if cut {
		b = append(b, "..."...)
	}
	return append(b, '"')
}

func appendUnicodeEscape(b []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	return append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}
