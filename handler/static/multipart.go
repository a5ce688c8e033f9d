package static

import (
	"crypto/rand"
	"io"
	"net/http"
	"strconv"
)

// serveParts answers with several parts of a file (RFC 9110 §14.6). Its length is
// known beforehand, so that a file that shrinks cannot pass for a whole answer.
func (v *variant) serveParts(w http.ResponseWriter, parts []span) {
	// 128 random bits do not occur in the file, whoever has written it.
	m := byteranges{v, parts, rand.Text()}
	fields := w.Header()
	v.setFields(fields)
	fields["Content-Type"] = []string{"multipart/byteranges; boundary=" + m.boundary}
	fields["Content-Length"] = []string{strconv.FormatInt(m.length(), 10)}
	w.WriteHeader(http.StatusPartialContent)
	for i, part := range parts {
		_, _ = io.WriteString(w, m.head(i)) // a client that left is the engine's to notice
		v.sendPart(w, part)
	}
	_, _ = io.WriteString(w, m.end())
}

// byteranges is the form of an answer of several parts (RFC 2046 §5.1).
type byteranges struct {
	v        *variant
	parts    []span
	boundary string
}

// head is what stands before a part.
func (m *byteranges) head(i int) string {
	h := "--" + m.boundary + "\r\nContent-Type: " + m.v.contentType[0] +
		"\r\nContent-Range: " + m.parts[i].contentRange(m.v.size) + "\r\n\r\n"
	if i > 0 {
		return "\r\n" + h
	}
	return h
}

// end is what stands behind the last part.
func (m *byteranges) end() string { return "\r\n--" + m.boundary + "--\r\n" }

func (m *byteranges) length() int64 {
	n := int64(len(m.end()))
	for i, part := range m.parts {
		n += int64(len(m.head(i))) + part.length
	}
	return n
}
