package semantics

import (
	"net/http"
	"strconv"
)

// statusLines holds "HTTP/1.1 200 OK\r\n" for every code that net/http names.
var statusLines = func() (t [600]string) {
	for code := range t {
		if text := http.StatusText(code); text != "" {
			t[code] = "HTTP/1.1 " + strconv.Itoa(code) + " " + text + "\r\n"
		}
	}
	return t
}()

// AppendStatusLine appends the status line of an HTTP/1.1 message. Answers to
// HTTP/1.0 carry it too (RFC 9110 §2.5: the version tells what the sender can
// do), as net/http's do not: minor 0 keeps its form.
func AppendStatusLine(dst []byte, minor, code int) []byte {
	if minor == 1 && code >= 0 && code < len(statusLines) && statusLines[code] != "" {
		return append(dst, statusLines[code]...)
	}
	dst = append(dst, "HTTP/1."...)
	dst = append(dst, byte('0'+minor), ' ')
	dst = strconv.AppendInt(dst, int64(code), 10)
	dst = append(dst, ' ')
	if text := http.StatusText(code); text != "" {
		dst = append(dst, text...)
	} else {
		dst = append(dst, "status code "...)
		dst = strconv.AppendInt(dst, int64(code), 10)
	}
	return append(dst, "\r\n"...)
}

// BodyAllowed tells whether an answer with this status may have content
// (RFC 9110 §6.4.1).
func BodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
