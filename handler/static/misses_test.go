package static

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestMissIsRememberedForASecond(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h, err := New(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		if w := get(t, h, "/a"); w.Code != http.StatusNotFound {
			t.Fatalf("nothing there: %d", w.Code)
		}
		write(t, dir, "a", "x")
		time.Sleep(time.Second - time.Nanosecond)
		if w := get(t, h, "/a"); w.Code != http.StatusNotFound {
			t.Errorf("within the second: %d", w.Code)
		}
		time.Sleep(time.Nanosecond)
		if w := get(t, h, "/a"); w.Code != http.StatusOK {
			t.Errorf("after it: %d", w.Code)
		}
	})
}

func TestMissIsNotRememberedWithoutTrust(t *testing.T) {
	for name, opts := range map[string]Options{"each request asks": {Revalidate: -1}, "no cache": {CacheEntries: -1}} {
		dir := t.TempDir()
		h := newHandler(t, dir, opts)
		get(t, h, "/a")
		write(t, dir, "a", "x")
		if w := get(t, h, "/a"); w.Code != http.StatusOK {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
}

// Made-up names cost bounded memory, and push no file out.
func TestMissesAreBoundedApart(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", "x")
	h := newHandler(t, dir, Options{CacheEntries: 16, Revalidate: time.Hour})
	get(t, h, "/a")
	e := h.cache.get("/a")
	for i := range 1000 {
		get(t, h, fmt.Sprintf("/%d", i))
	}
	get(t, h, "/"+strings.Repeat("a/", maxMissBytes))
	if h.cache.get("/a") != e || e == nil {
		t.Error("the file was pushed out")
	}
	count := 0
	for i := range h.misses.places {
		if m := h.misses.places[i].Load(); m != nil {
			count++
			if len(m.key) > maxMissBytes {
				t.Errorf("%d bytes of one path are kept", len(m.key))
			}
		}
	}
	if count == 0 || count > 16 {
		t.Errorf("%d misses are kept, want 16 at most", count)
	}
	if !h.misses.has("/999", h.now()) {
		t.Error("the last one is not remembered")
	}
}

// A miss must not be asked by a spelling that the rules refuse, nor its key be the
// request's memory.
func TestMissKeepsNothingOfTheRequest(t *testing.T) {
	h := newHandler(t, t.TempDir(), Options{})
	target := []byte("/none.txt")
	r := request(t, "GET", "/")
	r.URL.Path = unsafeString(target)
	h.ServeHTTP(newSharingWriter(), r)
	copy(target, "#########")
	if !h.misses.has("/none.txt", h.now()) {
		t.Error("the key has changed")
	}
}
