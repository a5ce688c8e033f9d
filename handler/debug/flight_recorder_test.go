package debug

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// fakeSource is a recording that costs nothing, and knows no runtime: so that time
// can be a bubble's.
type fakeSource struct {
	record  string
	err     error
	writes  int
	started int
}

func (s *fakeSource) Start() error { s.started++; return nil }
func (s *fakeSource) Stop()        { s.started-- }

func (s *fakeSource) WriteTo(w io.Writer) (int64, error) {
	s.writes++
	if s.err != nil {
		return 0, s.err
	}
	n, err := io.WriteString(w, s.record)
	return int64(n), err
}

func newFlight(tb testing.TB, opts FlightOptions, source flightSource) *FlightRecorder {
	tb.Helper()
	f, err := NewFlightRecorder(opts)
	servetest.Must(tb, "flight recorder", err)
	if source != nil {
		f.source = source
	}
	return f
}

// wantTrace fails the test unless b begins as an execution trace does, and has
// events behind that.
func wantTrace(t *testing.T, b []byte) {
	t.Helper()
	if len(b) < 1024 || !strings.HasPrefix(string(b), "go 1.") || !strings.HasPrefix(string(b[7:]), " trace\x00\x00\x00") {
		t.Errorf("%d bytes that begin with %q are no trace", len(b), b[:min(16, len(b))])
	}
}

// The runtime's own recorder: what is dumped and what is fetched are traces.
func TestFlightRecorder(t *testing.T) {
	f := newFlight(t, FlightOptions{Dir: filepath.Join(t.TempDir(), "new")}, nil)
	_, err := f.Dump()
	servetest.WantErr(t, "it is off", err, ErrFlightOff)
	servetest.Want(t, "it is off", fetch(f, "GET", "/debug/flight").Code, http.StatusNotFound)
	servetest.Must(t, "start", f.Start())
	defer f.Stop()
	servetest.Want(t, "it is on", f.Enabled(), true)
	servetest.Want(t, "a second start fails", f.Start() != nil, true)
	servetest.Want(t, "a process has one", newFlight(t, FlightOptions{}, nil).Start() != nil, true)

	path, err := f.Dump()
	servetest.Must(t, "dump", err)
	b, err := os.ReadFile(path)
	servetest.Must(t, "read the dump", err)
	wantTrace(t, b)
	info, err := os.Stat(path)
	servetest.Must(t, "stat", err)
	servetest.Want(t, "the dump is its owner's alone", info.Mode().Perm(), 0o600)
	info, err = os.Stat(filepath.Dir(path))
	servetest.Must(t, "stat", err)
	servetest.Want(t, "and so is the directory", info.Mode().Perm(), 0o700)

	w := fetch(f, "GET", "/debug/flight")
	servetest.Want(t, "it is fetched", w.Code, http.StatusOK)
	wantTrace(t, w.Body.Bytes())
	servetest.Want(t, "it is not kept", w.Header().Get("Cache-Control"), "no-store")

	f.Stop()
	f.Stop()
	servetest.Want(t, "it is off again", f.Enabled(), false)
	servetest.Must(t, "it can be switched on again", f.Start())
}

// The route of the slow request stands in the trace that it has caused.
func TestFlightRecorderTellsTheRoute(t *testing.T) {
	dir := t.TempDir()
	f := newFlight(t, FlightOptions{Dir: dir}, nil)
	servetest.Must(t, "start", f.Start())
	defer f.Stop()
	f.LatencyObjective("a-slow-route", time.Second)
	servetest.WantSoon(t, "a file is there", func() bool { return len(dumps(t, dir)) == 1 })
	b, err := os.ReadFile(filepath.Join(dir, dumps(t, dir)[0]))
	servetest.Must(t, "read the dump", err)
	wantTrace(t, b)
	servetest.Want(t, "the trace has the route", strings.Contains(string(b), "a-slow-route"), true)
}

func dumps(tb testing.TB, dir string) []string {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "flight-*.trace"))
	servetest.Must(tb, "glob", err)
	for i := range paths {
		paths[i] = filepath.Base(paths[i])
	}
	return paths
}

// A route that breaks its objective all the time has one dump a minute.
func TestFlightRateLimit(t *testing.T) { synctest.Test(t, testFlightRateLimit) }

func testFlightRateLimit(t *testing.T) {
	s := &fakeSource{record: "trace"}
	dir := t.TempDir()
	var log strings.Builder
	f := newFlight(t, FlightOptions{Dir: dir, Log: slog.New(slog.NewTextHandler(&log, nil))}, s)
	slow := func() {
		f.LatencyObjective("api", 3*time.Second)
		synctest.Wait()
	}
	slow()
	servetest.Want(t, "it is off", s.writes, 0)
	servetest.Must(t, "start", f.Start())
	defer f.Stop()

	for range 100 {
		slow()
	}
	servetest.Want(t, "one dump for a hundred requests", s.writes, 1)
	servetest.Want(t, "the log tells why", strings.Contains(log.String(), "route=api took=3s file="+dir), true)
	time.Sleep(time.Minute - time.Nanosecond)
	slow()
	_, err := f.Dump()
	servetest.WantErr(t, "the minute is not over", err, ErrFlightSoon)
	servetest.Want(t, "the minute is not over", s.writes, 1)
	time.Sleep(time.Nanosecond)
	_, err = f.Dump()
	servetest.Must(t, "the minute is over", err)
	slow()
	servetest.Want(t, "a dump on demand counts", s.writes, 2)
	servetest.Want(t, "each has its file", len(dumps(t, dir)), 2)

	time.Sleep(time.Minute)
	s.err = errors.New("broken")
	slow()
	s.err = nil
	slow()
	servetest.Want(t, "a dump that failed counts as well", s.writes, 3)
	servetest.Want(t, "the log tells of it", strings.Contains(log.String(), "error=\"dump flight recording: broken\""), true)
	servetest.Want(t, "it leaves nothing", len(files(t, dir)), 2)
}

func files(tb testing.TB, dir string) []os.DirEntry {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	servetest.Must(tb, "read directory", err)
	return entries
}

func TestFlightWithoutDirectory(t *testing.T) { synctest.Test(t, testFlightWithoutDirectory) }

func testFlightWithoutDirectory(t *testing.T) {
	s := &fakeSource{record: "trace"}
	f := newFlight(t, FlightOptions{}, s)
	servetest.Must(t, "start", f.Start())
	defer f.Stop()
	f.LatencyObjective("api", time.Second)
	synctest.Wait()
	_, err := f.Dump()
	servetest.WantErr(t, "there is nowhere to dump to", err, ErrFlightNoDir)
	servetest.Want(t, "nothing was read", s.writes, 0)
	servetest.Want(t, "it can be fetched", fetch(f, "GET", "/debug/flight").Body.String(), "trace")
}

// A trigger of the time before a Stop does not dump what comes after it.
func TestFlightRestart(t *testing.T) { synctest.Test(t, testFlightRestart) }

func testFlightRestart(t *testing.T) {
	s := &fakeSource{record: "trace"}
	f := newFlight(t, FlightOptions{Dir: t.TempDir(), Every: -1}, s)
	f.broken <- slowRequest{"old", 1}
	servetest.Must(t, "start", f.Start())
	synctest.Wait()
	servetest.Want(t, "the old trigger is gone", s.writes, 0)
	f.LatencyObjective("api", 1)
	synctest.Wait()
	f.LatencyObjective("api", 1)
	synctest.Wait()
	servetest.Want(t, "negative: no limit", s.writes, 2)
	f.Stop()
	servetest.Want(t, "it was stopped", s.started, 0)
}

func TestFlightOptions(t *testing.T) {
	_, err := NewFlightRecorder(FlightOptions{MinAge: -1, MaxBytes: -2, MaxFiles: -3, MaxDirBytes: -4})
	if err == nil {
		t.Fatal("negative options pass")
	}
	for _, field := range []string{"MinAge", "MaxBytes", "MaxFiles", "MaxDirBytes"} {
		servetest.Want(t, field+" is named", strings.Contains(err.Error(), field), true)
	}
	file := filepath.Join(t.TempDir(), "file")
	servetest.Must(t, "file", os.WriteFile(file, nil, 0o600))
	s := &fakeSource{}
	servetest.Want(t, "the directory is a file", newFlight(t, FlightOptions{Dir: file}, s).Start() != nil, true)
	servetest.Want(t, "nothing was started", s.started, 0)
}

func TestFlightMethods(t *testing.T) {
	s := &fakeSource{record: "trace"}
	f := newFlight(t, FlightOptions{}, s)
	servetest.Must(t, "start", f.Start())
	defer f.Stop()
	for _, method := range []string{"POST", "HEAD", "DELETE"} {
		w := fetch(f, method, "/debug/flight")
		servetest.Want(t, method, w.Code, http.StatusMethodNotAllowed)
		servetest.Want(t, method+": what is allowed", w.Header().Get("Allow"), "GET")
	}
	servetest.Want(t, "nothing was read", s.writes, 0)
}

func TestFlightRecordingIsBounded(t *testing.T) {
	s := &fakeSource{record: strings.Repeat("x", 11)}
	dir := t.TempDir()
	f := newFlight(t, FlightOptions{Dir: dir, MaxDirBytes: 10}, s)
	servetest.Must(t, "start", f.Start())
	defer f.Stop()
	servetest.Want(t, "too large to be sent", fetch(f, "GET", "/debug/flight").Code, http.StatusInternalServerError)
	_, err := f.Dump()
	servetest.WantErr(t, "too large for a file", err, errRecordingTooLarge)
	servetest.Want(t, "nothing is left", len(files(t, dir)), 0)
}

// slowWriter is a client that does not read yet.
type slowWriter struct {
	*httptest.ResponseRecorder
	began, read chan struct{}
}

func (w *slowWriter) Write(b []byte) (int, error) {
	close(w.began)
	<-w.read
	return w.ResponseRecorder.Write(b)
}

// A slow client keeps other clients out, but no dump.
func TestFlightOneAtATime(t *testing.T) {
	f := newFlight(t, FlightOptions{Dir: t.TempDir()}, &fakeSource{record: "trace"})
	servetest.Must(t, "start", f.Start())
	defer f.Stop()
	slow := &slowWriter{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
	var wg sync.WaitGroup
	wg.Go(func() { f.ServeHTTP(slow, httptest.NewRequest("GET", "/debug/flight", nil)) })
	<-slow.began
	w := fetch(f, "GET", "/debug/flight")
	servetest.Want(t, "the second is refused", w.Code, http.StatusServiceUnavailable)
	servetest.Want(t, "for a moment", w.Header().Get("Retry-After"), "1")
	_, err := f.Dump()
	servetest.Must(t, "dump meanwhile", err)
	close(slow.read)
	wg.Wait()
	servetest.Want(t, "the first has it", slow.Body.String(), "trace")
	servetest.Want(t, "then the next may", fetch(f, "GET", "/debug/flight").Code, http.StatusOK)
}

// What breaks an objective again and again costs the request next to nothing.
func TestFlightTriggerAllocs(t *testing.T) {
	f := newFlight(t, FlightOptions{Dir: t.TempDir(), Every: time.Hour}, &fakeSource{})
	f.LatencyObjective("api", 1) // off
	servetest.Want(t, "off", testing.AllocsPerRun(100, func() { f.LatencyObjective("api", 1) }), 0)
	servetest.Must(t, "start", f.Start())
	defer f.Stop()
	_, err := f.Dump() // the one of this hour
	servetest.Must(t, "dump", err)
	servetest.Want(t, "on, within the hour", testing.AllocsPerRun(100, func() { f.LatencyObjective("api", 1) }), 0)
}
