package certs

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
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

// TestReloadIsServed: a new pair is served soon after it was written, however it
// was; handshakes meanwhile see the old one or the new one, and never fail.
func TestReloadIsServed(t *testing.T) {
	for _, change := range changes {
		t.Run(change.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			certDir, keyDir, ca := t.TempDir(), t.TempDir(), newAuthority(t, "ca")
			put := func(name string) {
				i := ca.issue(t, name, "a.com")
				change.set(t, keyDir, i.key)
				change.set(t, certDir, i.cert)
			}
			put("no.0")
			w := NewWatcher(WatcherOptions{Recheck: -1, Log: quiet()})
			defer w.Close()
			d, err := NewDynamic(Config{CertFile: change.file(certDir), KeyFile: change.file(keyDir), Watcher: w, Log: quiet()})
			servetest.Must(t, "NewDynamic", err)
			defer d.Close()
			s := serveTLS(t, "127.0.0.1:0", d.TLSConfig())
			for n := range 4 {
				want := fmt.Sprint("no.", n)
				if n > 0 {
					put(want)
				}
				servetest.WantSoon(t, want+" is served", func() bool {
					shown := s.shown("a.com")
					if !strings.HasPrefix(shown, "no.") {
						t.Errorf("handshake failed: %s", shown)
					}
					return shown == want
				})
			}
			servetest.WantErr(t, "healthy at the end", d.Check(), nil)
		})
	}
}

// TestThousandReloads: 1,000 reloads beside handshakes, full and resumed, and not
// one of these fails.
func TestThousandReloads(t *testing.T) {
	dir, ca := newPairDir(t), newAuthority(t, "ca")
	pairs := []issued{ca.issue(t, "even", "a.com"), ca.issue(t, "odd", "a.com")}
	cert, key := dir.put("pair", pairs[0])
	d, err := NewDynamic(Config{SNI: []NamedPair{{CertFile: cert, KeyFile: key}}, Log: quiet()})
	servetest.Must(t, "NewDynamic", err)
	s := serveTLS(t, "127.0.0.1:0", d.TLSConfig())
	var over atomic.Bool
	var clients sync.WaitGroup
	var shakes, resumed atomic.Int64
	for i := range 2 {
		clients.Go(func() {
			c := &tls.Config{ServerName: "a.com", RootCAs: ca.pool()}
			if i > 0 {
				c.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			}
			for !over.Load() {
				state, err := s.shake(c)
				if err != nil {
					t.Errorf("handshake %d: %v", shakes.Load(), err)
					return
				}
				shakes.Add(1)
				if state.DidResume {
					resumed.Add(1)
				}
			}
		})
	}
	for i := range 1000 {
		dir.put("pair", pairs[(i+1)%2])
		servetest.Must(t, "Reload", d.Reload())
	}
	servetest.WantSoon(t, "clients had a chance", func() bool { return shakes.Load() > 100 && resumed.Load() > 10 })
	over.Store(true)
	clients.Wait()
	t.Logf("%d handshakes, %d resumed", shakes.Load(), resumed.Load())
}

// TestBrokenFiles: what cannot be used leaves the old pair in use, is told of
// once and shown to health checks; the right pair is taken when it is there.
func TestBrokenFiles(t *testing.T) {
	dir, ca := newPairDir(t), newAuthority(t, "ca")
	old, next := ca.issue(t, "old", "a.com"), ca.issue(t, "new", "a.com")
	certFile, keyFile := dir.put("pair", old)
	chain := append(bytes.Clone(next.cert), ca.pem...)
	for _, test := range []struct {
		name, text string
		spoil      func() error
	}{
		{"key does not fit", "does not belong", func() error { return os.WriteFile(certFile, next.cert, 0o600) }},
		{"empty", "is empty", func() error { return os.Truncate(certFile, 0) }},
		{"half a certificate", "holds no PEM", func() error { return os.WriteFile(certFile, next.cert[:len(next.cert)/2], 0o600) }},
		{"half a chain", "ends within", func() error {
			dir.write("pair.key", next.key)
			return os.WriteFile(certFile, chain[:len(chain)-40], 0o600)
		}},
		{"half a key", "holds no PEM", func() error { return os.WriteFile(keyFile, old.key[:50], 0o600) }},
		{"no key", "no such file", func() error { return os.Remove(keyFile) }},
		{"a folder", "is a directory", func() error { return errors.Join(os.Remove(keyFile), os.Mkdir(keyFile, 0o700)) }},
		{"a link to itself", "cannot be read", func() error { return errors.Join(os.Remove(keyFile), os.Symlink(keyFile, keyFile)) }},
		{"unreadable", "permission denied", func() error { return os.Chmod(keyFile, 0) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.name == "unreadable" && os.Geteuid() == 0 {
				t.Skip("SKIPPED: root may read everything")
			}
			_ = os.Remove(keyFile) // the folder of a former case
			dir.put("pair", old)
			var log bytes.Buffer
			w := NewWatcher(WatcherOptions{Recheck: -1, Log: slog.New(slog.NewTextHandler(&log, nil))})
			d, err := NewDynamic(Config{CertFile: certFile, KeyFile: keyFile, Watcher: w, Log: quiet()})
			servetest.Must(t, "NewDynamic", err)
			s := serveTLS(t, "127.0.0.1:0", d.TLSConfig())
			servetest.Must(t, "spoil", test.spoil())
			servetest.WantSoon(t, "the health check tells", func() bool { return d.Check() != nil && strings.Contains(d.Check().Error(), test.text) })
			for range 3 {
				w.Recheck()
				servetest.Want(t, "meanwhile", s.shown("a.com"), "old")
			}
			_ = os.Remove(keyFile)
			dir.put("pair", next)
			servetest.WantSoon(t, "the right pair is served", func() bool { return s.shown("a.com") == "new" })
			servetest.WantErr(t, "and all is well", d.Check(), nil)
			d.Close()
			servetest.Must(t, "Close", w.Close())
			if n := strings.Count(log.String(), test.text); n != 1 {
				t.Errorf("told %d times:\n%s", n, log.String())
			}
		})
	}
}

// TestReloadKeepsWhatIsTheSame: handshakes share configurations, equal bytes
// change nothing, and of a change only what it concerns is made anew.
func TestReloadKeepsWhatIsTheSame(t *testing.T) {
	dir, ca := newPairDir(t), newAuthority(t, "ca")
	cfg := Config{Log: quiet()}
	cfg.CertFile, cfg.KeyFile = dir.put("a", ca.issue(t, "a", "a.com"))
	cert, key := dir.put("b", ca.issue(t, "b", "b.com"))
	cfg.SNI = []NamedPair{{CertFile: cert, KeyFile: key}}
	d, err := NewDynamic(cfg)
	servetest.Must(t, "NewDynamic", err)
	of := func(name string) *tls.Config {
		c, _ := d.configForClient(&tls.ClientHelloInfo{ServerName: name})
		return c
	}
	a, b, now := of("a.com"), of("b.com"), d.current.Load()
	servetest.Want(t, "a second handshake", of("a.com"), a)
	dir.put("a", issued{cert: read(t, cfg.CertFile), key: read(t, cfg.KeyFile)})
	servetest.Must(t, "Reload", d.Reload())
	servetest.Want(t, "equal bytes", d.current.Load(), now)
	dir.put("b", ca.issue(t, "b2", "b.com"))
	servetest.Must(t, "Reload", d.Reload())
	servetest.Want(t, "the other pair's configuration", of("a.com"), a)
	if of("b.com") == b {
		t.Error("a new pair has the old configuration")
	}
	servetest.Want(t, "sources", len(d.Status()), 2)
	servetest.Want(t, "status tells the file", d.Status()[1].Files[0], cert)
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	servetest.Must(t, "read", err)
	return data
}

// TestSelfSignedAndStoredDefaults: the default pair without files of the user's.
func TestSelfSignedAndStoredDefaults(t *testing.T) {
	source, err := NewSelfSignedSource([]string{"self.com"})
	servetest.Must(t, "source", err)
	dir, ca := newPairDir(t), newAuthority(t, "ca")
	cert, key := dir.put("b", ca.issue(t, "b", "b.com"))
	sni := []NamedPair{{CertFile: cert, KeyFile: key}}
	d, err := NewDynamic(Config{SelfSigned: source, SNI: sni, Log: quiet()})
	servetest.Must(t, "self-signed", err)
	s := serveTLS(t, "127.0.0.1:0", d.TLSConfig())
	servetest.Want(t, "a pair beside it", s.shown("b.com"), "b")
	servetest.Want(t, "self-signed", s.shown("self.com"), source.Certificate().Leaf.Subject.CommonName)

	store := &CertDir{Dir: filepath.Join(dir.dir, "store"), Hosts: []string{"stored.com"}}
	w := NewWatcher(WatcherOptions{Recheck: -1, Log: quiet()})
	defer w.Close()
	d, err = NewDynamic(Config{CertDir: store, SNI: sni, Watcher: w, Log: quiet()})
	servetest.Must(t, "stored", err)
	s = serveTLS(t, "127.0.0.1:0", d.TLSConfig())
	first := s.shown("stored.com")
	certFile, keyFile := store.Files()
	servetest.Must(t, "make it anew", store.store(certFile, keyFile, time.Now().Add(-selfSignedLifetime+time.Hour)))
	servetest.Must(t, "Reload", d.Reload())
	second := s.shown("stored.com")
	servetest.Want(t, "another one is served", first != second, true)
	leaf := d.pairs[0].Certificate().Leaf
	servetest.Want(t, "not the one near its end", renewalDue(leaf, time.Now()), false)
}

func TestConfigThatCannotBe(t *testing.T) {
	dir, ca := newPairDir(t), newAuthority(t, "ca")
	cert, key := dir.put("a", ca.issue(t, "a", "a.com"))
	source, err := NewSelfSignedSource(nil)
	servetest.Must(t, "source", err)
	for name, cfg := range map[string]Config{
		"no certificate":                     {},
		"default certificate is given twice": {CertFile: cert, KeyFile: key, SelfSigned: source},
		"no such file":                       {CertFile: cert, KeyFile: dir.path("none")},
		"neither a host name":                {CertFile: cert, KeyFile: key, SNI: []NamedPair{{cert, key, []string{"a b"}}}},
		"want VersionTLS12":                  {CertFile: cert, KeyFile: key, MinVersion: tls.VersionTLS10},
		"no client CA":                       {CertFile: cert, KeyFile: key, Policy: Policy{ClientAuth: ClientAuthRequire}},
		"holds no PEM certificate":           {CertFile: cert, KeyFile: key, Policy: Policy{ClientAuth: ClientAuthRequire, ClientCAFile: dir.write("text", []byte("hello"))}},
	} {
		if _, err := NewDynamic(cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want an error with %q", err, name)
		}
	}
}

// TestReloadRace: files change by hand and by notice, and handshakes, health
// checks and the stop come at any time.
func TestReloadRace(t *testing.T) {
	servetest.CheckLeaks(t)
	dir, ca := newPairDir(t), newAuthority(t, "ca")
	pairs := []issued{ca.issue(t, "even", "a.com"), ca.issue(t, "odd", "a.com")}
	certFile, keyFile := dir.put("pair", pairs[0])
	w := NewWatcher(WatcherOptions{Recheck: time.Millisecond, Log: quiet()})
	d, err := NewDynamic(Config{CertFile: certFile, KeyFile: keyFile, Watcher: w, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	servetest.Must(t, "NewDynamic", err)
	s := serveTLS(t, "127.0.0.1:0", d.TLSConfig())
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 30 {
				_ = d.Reload() // may meet a half-written pair
				_ = d.Check()
				w.Recheck()
				if shown := s.shown("a.com"); shown != "even" && shown != "odd" {
					t.Errorf("client %d: %s", i, shown)
				}
			}
		})
	}
	for i := range 50 {
		dir.put("pair", pairs[i%2])
	}
	wg.Wait()
	d.Close()
	servetest.Must(t, "Close", w.Close())
}
