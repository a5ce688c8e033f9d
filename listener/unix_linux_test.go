package listener

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestUnixStaleFileIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	g := listen(t, Config{Network: "unix", Address: path})
	g.Share() // so that the file stays, as after a crash
	must(t, "Close", g.Close())
	_, err := os.Lstat(path)
	must(t, "stale file", err)

	g = listen(t, Config{Network: "unix", Address: path, UnixMode: 0o660})
	st, err := os.Lstat(path)
	must(t, "file", err)
	want(t, "mode", st.Mode().Perm(), fs.FileMode(0o660))
	done := make(chan struct{})
	go func() { defer close(done); _, _ = serveEcho(g, 0) }()
	must(t, "client", askEcho(dial(t, g)))
	must(t, "Close", g.Close())
	<-done
	_, err = os.Lstat(path)
	want(t, "file is removed", errors.Is(err, fs.ErrNotExist), true)
}

func TestUnixLiveSocketIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	live := listen(t, Config{Network: "unix", Address: path})
	_, err := Listen(t.Context(), Config{Network: "unix", Address: path})
	wantHolder(t, "live socket", err, path, syscall.Getpid())
	_, _, err = live.Sockets()[0].Accept()
	want(t, "the look did not disturb it", Classify(err), ClassAgain)
	_ = dial(t, live).Close()
}

// A socket that is bound and does not listen yet is not stale, though nobody
// answers a connect.
func TestUnixBoundSocketIsNotStale(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	g, err := Bind(t.Context(), Config{Network: "unix", Address: path})
	must(t, "Bind", err)
	defer g.Close()
	_, err = Listen(t.Context(), Config{Network: "unix", Address: path})
	want(t, "second server", errors.Is(err, syscall.EADDRINUSE), true)
	must(t, "Listen", g.Listen())
	_ = dial(t, g).Close()
}

func TestUnixOtherFileIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	must(t, "write", os.WriteFile(path, []byte("precious"), 0o600))
	_, err := Listen(t.Context(), Config{Network: "unix", Address: path})
	want(t, "error", errors.Is(err, syscall.EADDRINUSE), true)
	b, err := os.ReadFile(path)
	must(t, "read", err)
	want(t, "file", string(b), "precious")
}

// On close the file is removed only if it is still ours.
func TestUnixSuccessorsFileStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	old := listen(t, Config{Network: "unix", Address: path})
	must(t, "remove", os.Remove(path))
	next := listen(t, Config{Network: "unix", Address: path})
	must(t, "Close of the old", old.Close())
	_ = dial(t, next).Close()
}
