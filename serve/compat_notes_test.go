package serve_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/quic-go/quic-go/http3"
)

// Notes: how what was seen is written down, and compared.

// fields renders a header in order of its names. Of Date only its being there.
func fields(h http.Header) string {
	var names []string
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		if name == "Date" && len(h[name]) == 1 {
			if _, err := http.ParseTime(h[name][0]); err == nil {
				b.WriteString("Date; ")
				continue
			}
		}
		fmt.Fprintf(&b, "%s: %q; ", name, h[name])
	}
	return b.String()
}

// digest is the text of a short body, the sum of a long one.
func digest(body []byte) string {
	if len(body) <= 300 {
		return fmt.Sprintf("%q", body)
	}
	return fmt.Sprintf("%d bytes %x", len(body), sha256.Sum256(body))
}

// streamError is net/http's and x/net's text of a reset, or ours of one.
var streamError = regexp.MustCompile(`stream error: stream ID \d+; (\w+)(; received from peer)?`)

// kind sorts errors, of which the text depends on timing.
func kind(err error) string {
	var ne net.Error
	switch {
	case err == nil:
		return "nil"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &ne) && ne.Timeout():
		return "timeout"
	case err == io.EOF:
		return "EOF"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, net.ErrClosed):
		return "cut"
	}
	if e, ok := errors.AsType[*http3.Error](err); ok && e.Remote {
		return "cut: " + e.ErrorCode.String() // what the server has said
	} else if ok {
		return "cut"
	}
	text := err.Error()
	if m := streamError.FindStringSubmatch(text); m != nil && m[2] != "" {
		return "cut: " + m[1] // what the server has said
	} else if m != nil {
		return "cut"
	}
	for _, part := range []string{
		"server closed idle connection", "transport connection broken", // net/http's client
		"client disconnected",                                     // net/http's HTTP/2 server
		"the peer has reset the stream", "the connection is over", // ours
		"canceled by remote with error code", "Application error 0x", // quic-go's
	} {
		if strings.Contains(text, part) {
			return "cut"
		}
	}
	return text
}

// failure tells only whether there was an error.
func failure(err error) string {
	if err != nil {
		return "an error"
	}
	return "none"
}

// compareNotes shows the lines of which only one list has them, in order.
func compareNotes(got, want []string) string {
	if slices.Equal(got, want) {
		return ""
	}
	// The longest common subsequence; notes are short.
	n, m := len(got), len(want)
	common := make([][]int, n+1)
	for i := range common {
		common[i] = make([]int, m+1)
	}
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			if got[i] == want[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var b strings.Builder
	context := ""
	for i, j := 0, 0; i < n || j < m; {
		switch {
		case i < n && j < m && got[i] == want[j]:
			context = got[i]
			i, j = i+1, j+1
			continue
		case context != "":
			fmt.Fprintf(&b, "    %s\n", context)
			context = ""
		}
		if j == m || i < n && common[i+1][j] >= common[i][j+1] {
			fmt.Fprintf(&b, "  - %s\n", got[i])
			i++
		} else {
			fmt.Fprintf(&b, "  + %s\n", want[j])
			j++
		}
	}
	return b.String()
}
