package handler

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// TestAccessLogMove: lines go to another place, to none, and to the first again;
// none of them is lost or torn.
func TestAccessLogMove(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	l := newAccessLog(t, AccessLogOptions{Off: true, FlushInterval: -1})
	logRequest(t, l)
	lines := func(file string) int {
		text, err := os.ReadFile(file)
		if err != nil {
			return 0
		}
		return strings.Count(string(text), "\n")
	}
	written := uint64(0)
	move := func(path string) {
		t.Helper()
		p, err := OpenLogPlace(path)
		servetest.Must(t, "open "+path, err)
		l.Move(p)
		if path != "" {
			logRequest(t, l)
			written++
		} else {
			logRequest(t, l)
		}
		servetest.WantSoon(t, "the line is written", func() bool { return l.Stats().Written == written })
	}
	for _, path := range []string{a, b, "", a} {
		move(path)
	}
	servetest.Must(t, "reopen", l.Reopen())
	logRequest(t, l)
	closeLog(t, l)
	servetest.Want(t, "lines of a", lines(a), 3)
	servetest.Want(t, "lines of b", lines(b), 1)
	_, err := OpenLogPlace(filepath.Join(dir, "none", "a"))
	servetest.WantErr(t, "no such folder", err, os.ErrNotExist)
	late, err := OpenLogPlace(b)
	servetest.Must(t, "open", err)
	l.Move(late) // closed already: the place goes too
}

// TestMaxInFlightSetLimits: other limits hold at once, and places are given back to
// who took them.
func TestMaxInFlightSetLimits(t *testing.T) {
	m := NewAdjustableMaxInFlight(0, 0, MaxInFlightOptions{})
	begin := func() (*Exchange, bool) {
		x := &Exchange{Info: Info{Class: ClassRead, Exempt: false}}
		return x, m.semaphores[ClassRead].limit.Load() == 0 || m.semaphores[ClassRead].held.Load() < m.semaphores[ClassRead].limit.Load()
	}
	free, _ := begin()
	servetest.Want(t, "without a limit", m.Begin(free), true)
	m.SetLimits(1, 0)
	first, _ := begin()
	servetest.Want(t, "the first", m.Begin(first), true)
	if _, room := begin(); room {
		t.Error("there is room for a second one")
	}
	m.SetLimits(2, 0)
	second, _ := begin()
	servetest.Want(t, "a second one", m.Begin(second), true)
	m.SetLimits(0, 0)
	for _, x := range []*Exchange{free, first, second} {
		m.End(x)
	}
	reading, _ := m.InFlight()
	servetest.Want(t, "places held at the end", reading, 0)
}
