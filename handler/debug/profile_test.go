package debug_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/handler/debug"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// Samples of a CPU profile that is taken at the endpoint, while requests run, tell
// their routes and protocols; before and after, requests have no labels.
func TestCPUProfileHasLabels(t *testing.T) {
	labels := handler.NewProfileLabels()
	rules, err := handler.NewPathRules(handler.PathRule{Pattern: "/burn/", Name: "burn"})
	servetest.Must(t, "rules", err)
	server := handler.NewChain(http.HandlerFunc(burn), handler.NewRequestInfo(rules.Resolve), labels)
	admin := debug.NewHandler(debug.Options{Labels: labels.Use})

	stop := make(chan struct{})
	var load sync.WaitGroup
	load.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				server.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/burn/1", nil))
			}
		}
	})
	defer load.Wait()
	defer close(stop)
	servetest.WantSoon(t, "samples of the handler have its labels", func() bool {
		w := httptest.NewRecorder()
		admin.ServeHTTP(w, httptest.NewRequest("GET", "/debug/pprof/profile?seconds=1", nil))
		if w.Code != http.StatusOK {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		samples, err := labelledSamples(w.Body.Bytes())
		servetest.Must(t, "parse the profile", err)
		return samples["protocol=h1 route=burn"] > 0
	})
}

// burn keeps a core busy for some milliseconds.
func burn(w http.ResponseWriter, _ *http.Request) {
	for end := time.Now().Add(5 * time.Millisecond); time.Now().Before(end); {
		_ = bytes.Repeat([]byte("x"), 4096)
	}
	w.WriteHeader(http.StatusNoContent)
}

// labelledSamples counts a profile's samples by their labels: as much of pprof's
// profile.proto as that takes.
func labelledSamples(b []byte) (map[string]int, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	if b, err = io.ReadAll(z); err != nil {
		return nil, err
	}
	var samples [][][2]uint64 // of each the label's places in table
	var table []string
	err = eachField(b, func(field, _ uint64, data []byte) error {
		switch field {
		case 2: // Profile.sample
			var labels [][2]uint64
			err := eachField(data, func(field, _ uint64, data []byte) error {
				if field != 3 { // Sample.label
					return nil
				}
				var l [2]uint64
				err := eachField(data, func(field, n uint64, _ []byte) error {
					if field == 1 || field == 2 { // Label.key, Label.str
						l[field-1] = n
					}
					return nil
				})
				labels = append(labels, l)
				return err
			})
			samples = append(samples, labels)
			return err
		case 6: // Profile.string_table
			table = append(table, string(data))
		}
		return nil
	})
	counts := make(map[string]int)
	for _, labels := range samples {
		var text []string
		for _, l := range labels {
			text = append(text, table[l[0]]+"="+table[l[1]])
		}
		counts[strings.Join(text, " ")]++
	}
	return counts, err
}

// eachField walks over a message of protocol buffers with numbers and bytes.
func eachField(b []byte, f func(field, n uint64, data []byte) error) error {
	for len(b) > 0 {
		tag, size := binary.Uvarint(b)
		n, more := binary.Uvarint(b[max(0, size):])
		if size <= 0 || more <= 0 {
			return io.ErrUnexpectedEOF
		}
		b = b[size+more:]
		var data []byte
		switch tag & 7 {
		case 0: // a number
		case 2: // bytes
			if n > uint64(len(b)) {
				return io.ErrUnexpectedEOF
			}
			data, b = b[:n], b[n:]
		default:
			return errors.New("unknown wire type")
		}
		if err := f(tag>>3, n, data); err != nil {
			return err
		}
	}
	return nil
}

// A request that breaks its route's objective leaves a trace of it in the
// directory: stage and recorder together.
func TestObjectiveDumpsFlight(t *testing.T) {
	dir := t.TempDir()
	flight, err := debug.NewFlightRecorder(debug.FlightOptions{Dir: dir})
	servetest.Must(t, "flight recorder", err)
	servetest.Must(t, "start", flight.Start())
	defer flight.Stop()
	rules, err := handler.NewPathRules(handler.PathRule{Pattern: "/fast"}, handler.PathRule{Pattern: "/slow"})
	servetest.Must(t, "rules", err)
	objective := handler.NewLatencyObjective(handler.LatencyObjectiveOptions{
		Routes: map[string]time.Duration{"/fast": time.Hour, "/slow": 1}, Broken: flight.LatencyObjective,
	})
	h := handler.NewChain(http.HandlerFunc(burn), handler.NewRequestInfo(rules.Resolve), objective)
	list := func() []string {
		paths, err := filepath.Glob(filepath.Join(dir, "*.trace"))
		servetest.Must(t, "glob", err)
		return paths
	}
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/fast", nil))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/slow", nil))
	servetest.WantSoon(t, "a dump is there", func() bool { return len(list()) == 1 })
	b, err := os.ReadFile(list()[0])
	servetest.Must(t, "read the dump", err)
	servetest.Want(t, "it is a trace", strings.HasPrefix(string(b), "go 1."), true)
	servetest.Want(t, "it names the route", strings.Contains(string(b), "/slow"), true)
	servetest.Want(t, "and not the one that was fast", strings.Contains(string(b), "/fast"), false)
}

// BenchmarkFlightRecorder is a request over loopback TCP to net/http's server
// with the recorder off and on: what the recording of its goroutines costs.
func BenchmarkFlightRecorder(b *testing.B) {
	for _, name := range []string{"off", "on"} {
		b.Run(name, func(b *testing.B) {
			if name == "on" {
				f, err := debug.NewFlightRecorder(debug.FlightOptions{})
				servetest.Must(b, "flight recorder", err)
				servetest.Must(b, "start", f.Start())
				defer f.Stop()
			}
			benchRequests(b)
		})
	}
}

// BenchmarkContention is the same request with the block and mutex profiles off,
// at their defaults, and with each event sampled.
func BenchmarkContention(b *testing.B) {
	for _, bm := range []struct {
		name string
		opts debug.ContentionOptions
	}{
		{"off", debug.ContentionOptions{BlockRate: -1, MutexFraction: -1}},
		{"default", debug.ContentionOptions{}},
		{"all", debug.ContentionOptions{BlockRate: 1, MutexFraction: 1}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			defer debug.StartContention(bm.opts)()
			benchRequests(b)
		})
	}
}

func benchRequests(b *testing.B) {
	s := httptest.NewServer(handler.NewChain(handler.NotFound{}))
	defer s.Close()
	b.ReportAllocs()
	for b.Loop() {
		answer, err := s.Client().Get(s.URL)
		servetest.Must(b, "request", err)
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusNotFound {
			b.Fatal("no answer")
		}
	}
}
