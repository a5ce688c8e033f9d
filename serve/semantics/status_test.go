package semantics

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestAppendStatusLine: net/http's client reads each line as it was meant.
func TestAppendStatusLine(t *testing.T) {
	for minor := range 2 {
		for code := 100; code < 1000; code++ {
			line := string(AppendStatusLine([]byte("x"), minor, code))
			text := http.StatusText(code)
			if text == "" {
				text = fmt.Sprintf("status code %d", code)
			}
			if want := fmt.Sprintf("xHTTP/1.%d %d %s\r\n", minor, code, text); line != want {
				t.Fatalf("AppendStatusLine(%d, %d) = %q, want %q", minor, code, line, want)
			}
			r, err := http.ReadResponse(bufio.NewReader(strings.NewReader(line[1:]+"\r\n")), nil)
			if err != nil || r.StatusCode != code || r.ProtoMinor != minor {
				t.Fatalf("%q is read as %+v, %v", line, r, err)
			}
		}
	}
}

func TestBodyAllowed(t *testing.T) {
	for code, want := range map[int]bool{100: false, 103: false, 199: false, 200: true, 204: false, 205: true, 304: false, 404: true, 599: true} {
		if got := BodyAllowed(code); got != want {
			t.Errorf("BodyAllowed(%d) = %v", code, got)
		}
	}
}
