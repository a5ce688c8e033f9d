//go:build unix

package app

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// USR1 opens the logs anew, and reads nothing else.
func TestReopenLogs(t *testing.T) {
	dir := t.TempDir()
	file, tokens := filepath.Join(dir, "access.log"), filepath.Join(dir, "tokens")
	servetest.Must(t, "tokens", os.WriteFile(tokens, []byte("a,b,c\n"), 0o600))
	p := start(t, nil, "respond", "--listen", anyPort, "--access-log", file, "--token-auth-file", tokens)
	servetest.Must(t, "rotate", os.Rename(file, file+".1"))
	p.signal(syscall.SIGUSR1)
	servetest.WantSoon(t, "the file is made anew", func() bool {
		ask(t, newClient(t), http.MethodGet, p.urls[0])
		_, err := os.Stat(file)
		return err == nil
	})
	stderr := wantExit(t, p, ExitClean)
	servetest.Want(t, "told", strings.Contains(stderr, "opened the logs anew"), true)
	servetest.Want(t, "no reload", strings.Contains(stderr, "reloaded"), false)
}
