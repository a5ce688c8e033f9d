package certs

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func TestCertDir(t *testing.T) {
	dir := &CertDir{Dir: filepath.Join(t.TempDir(), "made", "here"), PairName: "edge", Hosts: []string{"a.com"}}
	certFile, keyFile, err := dir.Ensure()
	servetest.Must(t, "make", err)
	servetest.Want(t, "certificate's name", filepath.Base(certFile), "edge.crt")
	servetest.Want(t, "key's name", filepath.Base(keyFile), "edge.key")
	for _, name := range []string{certFile, keyFile} {
		info, err := os.Stat(name)
		servetest.Must(t, "stat", err)
		servetest.Want(t, "mode of "+filepath.Base(name), info.Mode().Perm(), 0o600)
	}
	first, err := LoadPair(certFile, keyFile)
	servetest.Must(t, "load", err)
	servetest.WantErr(t, "it is for its host", first.Leaf.VerifyHostname("a.com"), nil)
	left, err := os.ReadDir(dir.Dir)
	servetest.Must(t, "list", err)
	servetest.Want(t, "files", len(left), 2)

	same := func() bool {
		_, _, err := dir.Ensure()
		servetest.Must(t, "again", err)
		again, err := LoadPair(certFile, keyFile)
		servetest.Must(t, "load again", err)
		return again.Leaf.Equal(first.Leaf)
	}
	servetest.Want(t, "it is reused", same(), true)
	_, _, err = dir.ensure(time.Now().Add(selfSignedLifetime - renewBefore + time.Hour))
	servetest.Must(t, "near its end", err)
	servetest.Want(t, "near its end it is reused", same(), false)
}

// TestCertDirForeign: what somebody else has put there is never overwritten.
func TestCertDirForeign(t *testing.T) {
	folder := newPairDir(t)
	dir := &CertDir{Dir: folder.dir, PairName: "x"}
	ca := newAuthority(t, "ca")
	pair, other := ca.issue(t, "foreign", "a.com"), ca.issue(t, "other", "a.com")
	certFile, keyFile := folder.put("x", pair)
	check := func(why string, ok bool) {
		t.Helper()
		before, _ := os.ReadFile(keyFile)
		if _, _, err := dir.ensure(time.Now().Add(time.Hour)); (err == nil) != ok {
			t.Errorf("%s: error %v", why, err)
		}
		after, _ := os.ReadFile(keyFile)
		servetest.Want(t, why+": the key", string(after), string(before))
	}
	check("a foreign pair, past its end", true)
	folder.write("x.key", other.key)
	check("a foreign pair that does not fit", false)
	os.Remove(certFile)
	check("a key alone", false)
	os.Remove(keyFile)
	folder.write("x.crt", pair.cert)
	check("a foreign certificate alone", false)
}

// TestCertDirUnfinished: what a process of ours has left half-way is made anew.
func TestCertDirUnfinished(t *testing.T) {
	folder := newPairDir(t)
	dir := &CertDir{Dir: folder.dir}
	certFile, keyFile, err := dir.Ensure()
	servetest.Must(t, "make", err)
	cert, _ := os.ReadFile(certFile)
	os.Remove(certFile)
	os.Remove(keyFile)
	dir.Ensure()
	folder.write("penstock.crt", cert)
	for _, why := range []string{"the key is another's", "there is no key"} {
		_, _, err := dir.Ensure()
		servetest.Must(t, why, err)
		_, err = LoadPair(certFile, keyFile)
		servetest.Must(t, "load when "+why, err)
		os.Remove(keyFile)
	}
}

// TestCertDirTogether: processes that start together agree on a pair.
func TestCertDirTogether(t *testing.T) {
	folder := t.TempDir()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			dir := &CertDir{Dir: folder}
			if _, _, err := dir.Ensure(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	certFile, keyFile, err := (&CertDir{Dir: folder}).Ensure()
	servetest.Must(t, "after all", err)
	_, err = LoadPair(certFile, keyFile)
	servetest.Must(t, "load", err)
}
