package handler

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// takingWriter takes files itself, if it is to.
type takingWriter struct {
	*httptest.ResponseRecorder
	refuse bool
	taken  int64
}

func (w *takingWriter) SendFile(_ *os.File, _, n int64) (int64, error) {
	if w.refuse {
		return 0, errors.ErrUnsupported
	}
	w.taken += n
	return n, nil
}

// passingWriter is another's, which sees all content.
type passingWriter struct{ http.ResponseWriter }

func (w passingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestSendFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	content := strings.Repeat("0123456789", 20_000)
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tests := []struct {
		name   string
		off, n int64
		sent   int64
		err    error
	}{
		{"whole", 0, 200_000, 200_000, nil},
		{"a part", 100_001, 70_000, 70_000, nil},
		{"less than a chunk", 5, 10, 10, nil},
		{"nothing", 5, 0, 0, nil},
		{"more than there is", 150_000, 100_000, 50_000, io.ErrUnexpectedEOF},
		{"behind the end", 200_000, 1, 0, io.ErrUnexpectedEOF},
	}
	for _, test := range tests {
		for kind, w := range map[string]func(*takingWriter) http.ResponseWriter{
			"refused by the engine": func(w *takingWriter) http.ResponseWriter { w.refuse = true; return w },
			"behind another's":      func(w *takingWriter) http.ResponseWriter { return passingWriter{w} },
			"plain":                 func(w *takingWriter) http.ResponseWriter { return w.ResponseRecorder },
		} {
			engine := &takingWriter{ResponseRecorder: httptest.NewRecorder()}
			n, err := SendFile(w(engine), f, test.off, test.n)
			if n != test.sent || !errors.Is(err, test.err) || engine.taken != 0 {
				t.Errorf("%s, %s: %d, %v, taken %d; want %d, %v", kind, test.name, n, err, engine.taken, test.sent, test.err)
			}
			if want := content[test.off : test.off+test.sent]; engine.Body.String() != want {
				t.Errorf("%s, %s: %d bytes came, or others", kind, test.name, engine.Body.Len())
			}
		}
	}
	if pos, err := f.Seek(0, io.SeekCurrent); pos != 0 || err != nil {
		t.Errorf("the position is %d, %v", pos, err)
	}
}

// Behind a chain and the filter the engine still takes files, and the chain counts
// them.
func TestSendFileBehindOthers(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/png")
		w.WriteHeader(http.StatusOK)
		if n, err := SendFile(w, f, 7, 100_000); n != 100_000 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
	stage := &writtenStage{}
	engine := &takingWriter{ResponseRecorder: httptest.NewRecorder()}
	NewChain(newCompress(t, CompressOptions{}).Wrap(h), stage).ServeHTTP(engine, httptest.NewRequest(http.MethodGet, "/", nil))
	if engine.taken != 100_000 || stage.written != 100_000 {
		t.Errorf("the engine took %d, the chain counted %d", engine.taken, stage.written)
	}
}

// writtenStage notes what the chain has counted.
type writtenStage struct{ written int64 }

func (*writtenStage) Begin(*Exchange) bool { return true }
func (s *writtenStage) End(x *Exchange)    { s.written = x.Written() }
