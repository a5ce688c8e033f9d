package certs

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// mustDo fails the test at the first error of some steps.
func mustDo(t testing.TB, errs ...error) {
	t.Helper()
	servetest.Must(t, "change files", errors.Join(errs...))
}

// changes are ways in which files change in practice. Each writes data as
// the content of file, again and again.
var changes = []struct {
	name string
	file func(dir string) string // makes what must be there; the path that is watched
	set  func(t testing.TB, dir string, data []byte)
}{
	{
		"rewrite", func(dir string) string { return filepath.Join(dir, "f") },
		func(t testing.TB, dir string, data []byte) {
			mustDo(t, os.WriteFile(filepath.Join(dir, "f"), data, 0o600))
		},
	},
	{
		"rename", func(dir string) string { return filepath.Join(dir, "f") },
		func(t testing.TB, dir string, data []byte) {
			mustDo(t, os.WriteFile(filepath.Join(dir, "f.new"), data, 0o600), os.Rename(filepath.Join(dir, "f.new"), filepath.Join(dir, "f")))
		},
	},
	{
		"delete and create", func(dir string) string { return filepath.Join(dir, "f") },
		func(t testing.TB, dir string, data []byte) {
			_ = os.Remove(filepath.Join(dir, "f")) // absent at first
			mustDo(t, os.WriteFile(filepath.Join(dir, "f"), data, 0o600))
		},
	},
	{ // Kubernetes: f -> ..data/f, ..data -> ..v1
		"link to a folder swapped", func(dir string) string { return filepath.Join(dir, "f") },
		func(t testing.TB, dir string, data []byte) {
			version := filepath.Join(dir, fmt.Sprintf("..%x", sha256.Sum256(data)))
			old, _ := os.Readlink(filepath.Join(dir, "..data"))
			mustDo(t, os.Mkdir(version, 0o700))
			mustDo(t, os.WriteFile(filepath.Join(version, "f"), data, 0o600))
			mustDo(t, os.Symlink(filepath.Base(version), filepath.Join(dir, "..data_tmp")), os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
			if old == "" {
				mustDo(t, os.Symlink("..data/f", filepath.Join(dir, "f")))
			} else {
				mustDo(t, os.RemoveAll(filepath.Join(dir, old)))
			}
		},
	},
	{ // certbot: live/f -> ../archive/f1
		"link swapped", func(dir string) string { return filepath.Join(dir, "live", "f") },
		func(t testing.TB, dir string, data []byte) {
			mustDo(t, os.MkdirAll(filepath.Join(dir, "live"), 0o700), os.MkdirAll(filepath.Join(dir, "archive"), 0o700))
			f, err := os.CreateTemp(filepath.Join(dir, "archive"), "f")
			mustDo(t, err)
			_, err = f.Write(data)
			mustDo(t, err, f.Close())
			_ = os.Remove(filepath.Join(dir, "live", "f")) // absent at first
			mustDo(t, os.Symlink("../archive/"+filepath.Base(f.Name()), filepath.Join(dir, "live", "f")))
		},
	},
	{
		"target of a link rewritten", func(dir string) string { return filepath.Join(dir, "f") },
		func(t testing.TB, dir string, data []byte) {
			target := filepath.Join(dir, "elsewhere", "g")
			mustDo(t, os.MkdirAll(filepath.Dir(target), 0o700), os.WriteFile(target, data, 0o600))
			_ = os.Symlink(target, filepath.Join(dir, "f")) // there already, but at first
		},
	},
	{
		"folder replaced", func(dir string) string { return filepath.Join(dir, "d", "f") },
		func(t testing.TB, dir string, data []byte) {
			mustDo(t, os.RemoveAll(filepath.Join(dir, "d.old")), os.MkdirAll(filepath.Join(dir, "d.new"), 0o700))
			mustDo(t, os.WriteFile(filepath.Join(dir, "d.new", "f"), data, 0o600))
			_ = os.Rename(filepath.Join(dir, "d"), filepath.Join(dir, "d.old")) // absent at first
			mustDo(t, os.Rename(filepath.Join(dir, "d.new"), filepath.Join(dir, "d")))
		},
	},
}

// seen is the content that a reload has found last.
type seen struct {
	file  string
	calls atomic.Int64
	mu    sync.Mutex
	data  string
}

func (s *seen) reload() error {
	s.calls.Add(1)
	data, err := os.ReadFile(s.file)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.data = string(data)
	s.mu.Unlock()
	return nil
}

func (s *seen) is(want string) func() bool {
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.data == want
	}
}

// TestWatch: each way of changing files is noticed, without a recheck, again and
// again, and also from nothing there.
func TestWatch(t *testing.T) {
	for _, change := range changes {
		t.Run(change.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			dir := t.TempDir()
			w := NewWatcher(WatcherOptions{Recheck: -1, Log: quiet()})
			defer w.Close()
			s := &seen{file: change.file(dir)}
			w.Watch("file", []string{s.file}, s.reload)
			servetest.WantSoon(t, "it is read at first", func() bool { return s.calls.Load() > 0 })
			for _, content := range []string{"one", "two", "three", "four"} {
				change.set(t, dir, []byte(content))
				servetest.WantSoon(t, content+" is noticed", s.is(content))
			}
		})
	}
}

// TestWatchCoalesces: many changes are few readings, and what happens beside the
// file is none.
func TestWatchCoalesces(t *testing.T) {
	dir := t.TempDir()
	w := NewWatcher(WatcherOptions{Recheck: -1, Log: quiet()})
	defer w.Close()
	s := &seen{file: filepath.Join(dir, "f")}
	mustDo(t, os.WriteFile(s.file, []byte("begin"), 0o600))
	w.Watch("file", []string{s.file}, s.reload)
	servetest.WantSoon(t, "it is read at first", s.is("begin"))
	before := s.calls.Load()
	for range 200 {
		mustDo(t, os.WriteFile(filepath.Join(dir, "other"), nil, 0o600), os.WriteFile(s.file, []byte("more"), 0o600))
	}
	mustDo(t, os.WriteFile(s.file, []byte("end"), 0o600))
	servetest.WantSoon(t, "the last change is noticed", s.is("end"))
	if n := s.calls.Load() - before; n > 50 {
		t.Errorf("read %d times for 200 changes", n)
	}
}

// TestWatchRechecks: what is not noticed is found, by the clock and by Recheck.
func TestWatchRechecks(t *testing.T) {
	for _, byClock := range []bool{true, false} {
		dir := t.TempDir()
		opts := WatcherOptions{Recheck: -1, Log: quiet()}
		if byClock {
			opts.Recheck = 20 * time.Millisecond
		}
		w := NewWatcher(opts)
		s := &seen{file: filepath.Join(dir, "f")}
		elsewhere := w.Watch("file", []string{filepath.Join(t.TempDir(), "never")}, s.reload)
		for _, content := range []string{"one", "two"} {
			mustDo(t, os.WriteFile(s.file, []byte(content), 0o600))
			if !byClock {
				w.Recheck()
			}
			servetest.WantSoon(t, content+" is found", s.is(content))
		}
		elsewhere.Stop()
		elsewhere.Stop()
		after := s.calls.Load()
		w.Recheck()
		servetest.Must(t, "Close", w.Close())
		servetest.Want(t, "calls after Stop", s.calls.Load()-after, 0)
		servetest.Must(t, "Close again", w.Close())
		servetest.Want(t, "nothing is watched", len(w.interest)+len(w.folders), 0)
	}
}

// TestWatchBlind: without notices files are read again and again.
func TestWatchBlind(t *testing.T) {
	w := &Watcher{recheck: time.Minute, log: quiet(), blind: true}
	servetest.Want(t, "period", w.period(), watchPoll)
	w.recheck = time.Second
	servetest.Want(t, "shorter period", w.period(), time.Second)
	w.recheck = -1
	servetest.Want(t, "none is none", w.period(), 0)

	dir := t.TempDir()
	w = newWatcher(WatcherOptions{Recheck: 10 * time.Millisecond, Log: quiet()}, nil, errors.New("no notices here"))
	defer w.Close()
	s := &seen{file: filepath.Join(dir, "f")}
	w.Watch("file", []string{s.file}, s.reload)
	for _, content := range []string{"one", "two"} {
		mustDo(t, os.WriteFile(s.file, []byte(content), 0o600))
		servetest.WantSoon(t, content+" is found", s.is(content))
	}
}

// TestWatchRetries: a failure is tried again without a notice, ever later, and
// told of once.
func TestWatchRetries(t *testing.T) {
	var log bytes.Buffer
	w := NewWatcher(WatcherOptions{Recheck: -1, Log: slog.New(slog.NewTextHandler(&log, nil))})
	var calls atomic.Int64
	w.Watch("thing", []string{filepath.Join(t.TempDir(), "f")}, func() error {
		if calls.Add(1) < 4 {
			return errors.New("broken")
		}
		return nil
	})
	servetest.WantSoon(t, "it is tried until it works", func() bool { return calls.Load() >= 4 })
	servetest.Must(t, "Close", w.Close())
	servetest.Want(t, "lines in the log", strings.Count(log.String(), "broken"), 1)
	servetest.Want(t, "what it says", strings.Contains(log.String(), "cannot reload thing"), true)

	x := &Watch{w: w, reload: func() error { return errors.New("broken for good") }}
	now := time.Now()
	for i, want := range []time.Duration{250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000} {
		x.read(now)
		if got := x.retryAt.Sub(now); got != want*time.Millisecond {
			t.Errorf("retry %d after %v, want %v", i, got, want*time.Millisecond)
		}
	}
}

func TestTrail(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	mustDo(t, err)
	at := func(names ...string) string { return filepath.Join(append([]string{dir}, names...)...) }
	mustDo(t, os.MkdirAll(at("a", "b"), 0o700), os.WriteFile(at("a", "b", "f"), nil, 0o600))
	mustDo(t, os.Symlink("a/b", at("rel")), os.Symlink(at("a"), at("abs")), os.Symlink("../a/./b/../b/f", at("a", "up")), os.Symlink("loop", at("loop")))
	for file, want := range map[string][]string{
		at("a", "b", "f"):           {at("a", "b", "f")},
		at("rel", "f"):              {at("rel"), at("a", "b", "f")},
		at("abs", "b", "f"):         {at("abs"), at("a", "b", "f")},
		at("abs", "up"):             {at("abs"), at("a", "up"), at("a", "b", "f")},
		at("rel", "none"):           {at("rel"), at("a", "b", "none")},
		at("no", "such", "path"):    {at("no")},
		at("a", "b", "f", "not"):    {at("a", "b", "f", "not")},
		at("a", "..", "a", "b/./f"): {at("a", "b", "f")},
	} {
		if got := strings.Join(trailOf(file), " "); got != strings.Join(want, " ") {
			t.Errorf("%s: got %s, want %v", file, got, want)
		}
	}
	if n := len(trailOf(at("loop"))); n == 0 || n > trailLinks+1 {
		t.Errorf("a link to itself leads to %d paths", n)
	}
}
