package wire_test

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/penstock-edge/penstock/serve/h1/wire"
)

// rawCase is a case of testdata/cases.json: bytes for a connection, and what
// must become of them.
type rawCase struct {
	ID, Category, Expectation, Ref string
	Bytes                          []byte
	Fill                           *struct {
		At, Times int
		Bytes     []byte
	}
	Size              int
	MaxFinalResponses int `json:"max_final_responses"`
}

// input is all that is sent.
func (c *rawCase) input() []byte {
	if c.Fill == nil {
		return c.Bytes
	}
	return slices.Concat(c.Bytes[:c.Fill.At], slices.Repeat(c.Fill.Bytes, c.Fill.Times), c.Bytes[c.Fill.At:])
}

// verdict is what codecs alone can say of a connection's bytes.
type verdict struct {
	served  int  // whole requests
	refused bool // one more was answered with an error
	closed  bool // the last one served asked for it
}

// judge reads requests as a server does that reads each body to its end. Bytes
// come in steps of size step, as from a socket.
func judge(t *testing.T, in []byte, step int) (v verdict) {
	t.Helper()
	lim := defaults()
	for len(in) > 0 && !v.closed {
		var head wire.RequestHead
		n, err := 0, error(nil)
		for end := min(step, len(in)); n == 0 && err == nil; end = min(end+step, len(in)) {
			if n, err = head.Parse(in[:end], lim); end == len(in) {
				break
			}
		}
		if err != nil {
			v.refused = true
			return v
		}
		if n == 0 {
			return v // more is to come
		}
		closes := head.Close
		in, err = skipBody(&head, in[n:], step)
		if err != nil {
			v.refused = true
			return v
		}
		if in == nil {
			return v
		}
		v.served++
		v.closed = closes
	}
	return v
}

// skipBody returns what follows the body; nil if that is not complete.
func skipBody(head *wire.RequestHead, in []byte, step int) ([]byte, error) {
	if !head.Chunked {
		if size := max(head.ContentLength, 0); size <= int64(len(in)) {
			return append([]byte{}, in[size:]...), nil
		}
		return nil, nil
	}
	var d wire.Chunked
	d.Reset(defaults())
	dst := make([]byte, 4096)
	for len(in) > 0 {
		_, ns, done, err := d.Decode(dst, in[:min(step, len(in))])
		if err != nil {
			return nil, err
		}
		if in = in[ns:]; done {
			return append([]byte{}, in...), nil
		}
	}
	return nil, nil
}

// TestCases judges the raw cases from head and chunk codec alone, in one piece
// and in small ones. That the connection then closes is the engine's part.
func TestCases(t *testing.T) {
	text, err := os.ReadFile("../testdata/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Cases []rawCase }
	if err := json.Unmarshal(text, &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Cases) < 101 {
		t.Fatalf("%d cases, want 101 or more", len(set.Cases))
	}
	for _, c := range set.Cases {
		t.Run(c.Category+"/"+c.ID, func(t *testing.T) {
			in := c.input()
			if len(in) != c.Size {
				t.Fatalf("%d bytes, the file says %d", len(in), c.Size)
			}
			whole := judge(t, in, len(in))
			checkCase(t, &c, whole)
			for _, step := range []int{1, 7, 64, 1460} {
				if got := judge(t, in, step); got != whole {
					t.Errorf("in steps of %d: %+v, whole: %+v", step, got, whole)
				}
			}
		})
	}
}

func checkCase(t *testing.T, c *rawCase, v verdict) {
	t.Helper()
	ok := false
	switch c.Expectation {
	case "accept":
		ok = v.served == c.MaxFinalResponses && !v.refused
	case "reject":
		ok = v.served == 0
	case "reject-or-close":
		ok = v.served == 0 || v.served == 1 && v.closed
	case "answer":
		ok = v.served > 0 || v.refused
	default:
		t.Fatalf("unknown expectation %q", c.Expectation)
	}
	if !ok {
		t.Errorf("%+v, want %s of at most %d (%s)", v, c.Expectation, c.MaxFinalResponses, c.Ref)
	}
}
