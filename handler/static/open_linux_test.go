package static

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestSpecialFiles(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	targets := []string{"/fifo", "/fifo/", "/socket"}
	if syscall.Mknod(filepath.Join(dir, "null"), syscall.S_IFCHR|0o666, 1<<8|3) == nil {
		targets = append(targets, "/null")
	}
	h := newHandler(t, dir, Options{Browse: true})
	for _, target := range targets {
		answered := make(chan int, 1)
		go func() { answered <- get(t, h, target).Code }()
		select {
		case code := <-answered:
			if code != http.StatusNotFound {
				t.Errorf("%s: %d, want 404", target, code)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: the open blocks", target)
		}
	}
	if body := get(t, h, "/").Body.String(); strings.Contains(body, "fifo") || strings.Contains(body, "socket") {
		t.Error("special files are listed")
	}
}

// A sibling or an index that is no file is as if it were not there.
func TestSpecialFilesBesideOthers(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.txt", "plain")
	write(t, dir, "index.htm", "second")
	for _, name := range []string{"a.txt.br", "index.html"} {
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	h := newHandler(t, dir, Options{Precompressed: []string{"br"}, Index: []string{"index.html", "index.htm"}, NotFound: "/a.txt.br"})
	for range 2 {
		if w := get(t, h, "/a.txt", "Accept-Encoding: br"); w.Code != 200 || w.Body.String() != "plain" {
			t.Errorf("FIFO as a sibling: %d %q", w.Code, w.Body)
		}
		if w := get(t, h, "/"); w.Code != 200 || w.Body.String() != "second" {
			t.Errorf("FIFO as an index: %d %q", w.Code, w.Body)
		}
		if w := get(t, h, "/none"); w.Code != http.StatusNotFound || w.Body.String() != string(notFound.body) {
			t.Errorf("FIFO as the page of a 404: %d %q", w.Code, w.Body)
		}
	}
}

func TestUnreadableFile(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	dir := t.TempDir()
	if err := os.Chmod(write(t, dir, "closed", "x"), 0); err != nil {
		t.Fatal(err)
	}
	if w := get(t, newHandler(t, dir, Options{}), "/closed"); w.Code != http.StatusForbidden {
		t.Errorf("status %d, want 403", w.Code)
	}
}

func TestOpenStatus(t *testing.T) {
	for errno, want := range map[syscall.Errno]int{
		syscall.ENOENT: 404, syscall.ENOTDIR: 404, syscall.ELOOP: 404, syscall.ENAMETOOLONG: 404, syscall.ENXIO: 404,
		syscall.EACCES: 403, syscall.EPERM: 403, syscall.EMFILE: 503, syscall.ENFILE: 503, syscall.EIO: 500,
	} {
		if got := openStatus(&os.PathError{Op: "openat", Path: "x", Err: errno}); got.status != want {
			t.Errorf("%v: %d, want %d", errno, got.status, want)
		}
	}
}

// Descriptors are given back on every way out.
func TestNoDescriptorLeak(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "small", "x")
	write(t, dir, "big", strings.Repeat("x", 1<<20))
	write(t, dir, "sub/file", "x")
	h := newHandler(t, dir, Options{Browse: true})
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(entries)
	}
	for _, target := range []string{"/small", "/big", "/sub", "/sub/", "/none", "/"} {
		get(t, h, target)
	}
	before := count()
	for range 50 {
		for _, target := range []string{"/small", "/big", "/sub", "/sub/", "/none", "/"} {
			get(t, h, target)
			get(t, h, target, "Range: bytes=0-1")
		}
	}
	if after := count(); after > before+5 {
		t.Errorf("%d descriptors before, %d after 600 requests", before, after)
	}
}
