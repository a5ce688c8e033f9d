package debug

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func recordOf(size int) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, strings.Repeat("x", size))
		return err
	}
}

func TestFlightFilesAreBounded(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		name     string
		sizes    []int
		maxFiles int
		maxBytes int64
		want     string // sizes that are left, the oldest first
	}{
		{"all fit", []int{1, 2, 3}, 3, 6, "1 2 3"},
		{"one file too many", []int{1, 2, 3, 4}, 3, 100, "2 3 4"},
		{"one byte too many", []int{1, 2, 3, 1}, 100, 6, "2 3 1"},
		{"a large one takes all", []int{1, 2, 3, 6}, 100, 6, "6"},
		{"one file", []int{1, 2, 3}, 1, 100, "3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := flightDir{t.TempDir(), tt.maxFiles, tt.maxBytes}
			for i, size := range tt.sizes {
				_, err := d.write(start.Add(time.Duration(i)*time.Nanosecond), recordOf(size))
				servetest.Must(t, "write", err)
			}
			var left []string
			for _, name := range dumps(t, d.path) {
				b, err := os.ReadFile(filepath.Join(d.path, name))
				servetest.Must(t, "read", err)
				left = append(left, string(rune('0'+len(b))))
			}
			servetest.Want(t, "the oldest are deleted", strings.Join(left, " "), tt.want)
			servetest.Want(t, "nothing else is left", len(files(t, d.path)), len(left))
		})
	}
}

// What is not ours is neither counted nor deleted; nor followed out of the
// directory.
func TestFlightLeavesOtherFilesAlone(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "outside")
	servetest.Must(t, "outside", os.WriteFile(outside, []byte("data"), 0o600))
	for _, name := range []string{"notes.txt", "flight-plan.txt", "other.trace"} {
		servetest.Must(t, name, os.WriteFile(filepath.Join(dir, name), []byte("data"), 0o600))
	}
	servetest.Must(t, "folder", os.Mkdir(filepath.Join(dir, "flight-0.trace"), 0o700))
	servetest.Must(t, "link", os.Symlink(outside, filepath.Join(dir, "flight-1.trace")))
	d := flightDir{dir, 1, 10}
	for i := range 3 {
		_, err := d.write(time.Unix(int64(i), 0), recordOf(10))
		servetest.Must(t, "write", err)
	}
	servetest.Want(t, "one dump beside the five others", len(files(t, dir)), 6)
	b, err := os.ReadFile(outside)
	servetest.Must(t, "read", err)
	servetest.Want(t, "the file outside is whole", string(b), "data")
}

func TestFlightRemovesOldTemporaries(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	for name, age := range map[string]time.Duration{
		"flight-dead.trace.tmp": flightTemporaryAge + time.Minute, "flight-alive.trace.tmp": flightTemporaryAge - time.Minute,
		"other.tmp": 2 * flightTemporaryAge,
	} {
		path := filepath.Join(dir, name)
		servetest.Must(t, name, os.WriteFile(path, nil, 0o600))
		servetest.Must(t, name, os.Chtimes(path, now, now.Add(-age)))
	}
	servetest.Must(t, "prepare", flightDir{dir, 1, 1}.prepare(now))
	var left []string
	for _, f := range files(t, dir) {
		left = append(left, f.Name())
	}
	servetest.Want(t, "only the dead one's goes", strings.Join(left, " "), "flight-alive.trace.tmp other.tmp")
}

// A directory that was there stays as its owner made it; one that vanished is an
// error of the dump.
func TestFlightDirectoryVanishes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dumps")
	d := flightDir{dir, 1, 10}
	servetest.Must(t, "prepare", d.prepare(time.Now()))
	servetest.Must(t, "remove", os.Remove(dir))
	_, err := d.write(time.Now(), recordOf(1))
	servetest.WantErr(t, "the directory is gone", err, os.ErrNotExist)
}
