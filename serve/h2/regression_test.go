package h2

import (
	"io"
	"net/http"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
)

// TestSlowDownloadIsNoFlood: on a link that is never quite empty, PINGs whose
// answers the peer has long read are not counted for ever (H2-6).
func TestSlowDownloadIsNoFlood(t *testing.T) {
	script(t, "H2-6 a PING for each 20 KiB of a download", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			for b := []byte(pattern(32 << 10)); ; {
				if _, err := w.Write(b); err != nil {
					return
				}
			}
		})
		c.update(0, 1<<30)
		c.settings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1 << 30})
		c.settle()
		c.h.stop(0)
		c.get(1, "/")
		for range 2 * maxQueuedControl {
			c.ping("how long")
			c.h.take(20 << 10)
			c.settle()
			c.queue = nil
		}
		c.cancel(1)
		c.h.take(-1)
		c.settle()
		c.queue = nil
		c.wantUncalmed("2,000 PINGs beside it")
	})
}

// TestDeadlinesAreNotRecycled: a timer that fires late must not find its stream
// in another request's hands.
func TestDeadlinesAreNotRecycled(t *testing.T) {
	script(t, "a deadline far ahead", func(t *testing.T, fm form) {
		c := connectWith(t, fm, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				io.Copy(io.Discard, r.Body)
				return
			}
			http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Hour))
			hello(w, r)
		}, func(cfg *Config) { cfg.Recycle = true })
		c.post(1, "/") // open meanwhile, or an idle connection would give up its spare
		c.get(3, "/")
		c.wantAnswer("an answer", 3, 200, "hello")
		c.engine(func(e *Conn) {
			if e.spare != nil {
				t.Error("a stream with a timer waits for its next request")
			}
		})
		c.dataEnd(1, "")
		c.wantAnswer("the other", 1, 200, "")
	})
}

// TestWithheldBodiesGiveBack: what a stream that is reset for its unread bytes
// held goes back, also of a body that had come whole.
func TestWithheldBodiesGiveBack(t *testing.T) {
	script(t, "whole bodies that nobody reads", func(t *testing.T, fm form) {
		done := make(chan struct{}) // they do not end with their streams
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) { <-done })
		u := newUploader(c)
		ids := odd(1, 63)
		u.begin("/", defaultStreamWindow, ids...)
		for _, id := range ids {
			if u.fill(id, 60<<10) == 60<<10 {
				c.dataEnd(id, "")
			}
		}
		time.Sleep(withholdTimeout)
		c.settle()
		c.engine(func(e *Conn) {
			if e.unread > defaultConnWindow || e.withheldAt != 0 {
				t.Errorf("%d bytes are still unread, withheld %v", e.unread, e.withheldAt != 0)
			}
		})
		close(done)
		c.settle()
		c.queue = nil
	})
}

// TestSilentConversations: who converses may be silent for longer than who sends
// a body (S-2).
func TestSilentConversations(t *testing.T) {
	for _, tt := range []struct {
		name string
		head []string
		do   func(w http.ResponseWriter)
	}{
		{"a tunnel", connectHead(), func(http.ResponseWriter) {}},
		{"an answer that has begun", head4("POST", "/"), func(w http.ResponseWriter) { w.(http.Flusher).Flush() }},
		{"full duplex", head4("POST", "/"), func(w http.ResponseWriter) { http.NewResponseController(w).EnableFullDuplex() }},
	} {
		script(t, tt.name, func(t *testing.T, fm form) {
			n := new(notes)
			c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
				tt.do(w)
				b, err := io.ReadAll(r.Body)
				n.add("%s %v", b, err)
			})
			c.headers(1, more, tt.head...)
			c.settle()
			time.Sleep(time.Hour / 2)
			c.dataEnd(1, "at last")
			c.settle()
			n.want(t, "half an hour later", "at last <nil>")
			c.queue = nil
		})
	}
}

// TestClosedBodyGivesCredit: what a handler's calls gather leaves, though it
// works on for long.
func TestClosedBodyGivesCredit(t *testing.T) {
	script(t, "Body.Close", func(t *testing.T, fm form) {
		closing, done := make(chan struct{}), make(chan struct{})
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			<-closing
			r.Body.Close()
			<-done
		})
		u := newUploader(c)
		ids := odd(1, 49)
		u.begin("/", defaultStreamWindow, ids...)
		for _, id := range ids {
			u.fill(id, 1<<20)
		}
		close(closing)
		u.settle()
		u.credit()
		if u.conn == 0 {
			t.Error("all bodies are closed, and the peer has no credit")
		}
		close(done)
		u.settle()
		c.queue = nil
	})
}
