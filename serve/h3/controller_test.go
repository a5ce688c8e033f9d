package h3

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// narrow gives a client windows that a large answer fills at once.
func narrow(cfg *quic.Config) {
	cfg.InitialStreamReceiveWindow, cfg.MaxStreamReceiveWindow = 64<<10, 64<<10
	cfg.InitialConnectionReceiveWindow, cfg.MaxConnectionReceiveWindow = 1<<20, 1<<20
}

// soonExpired is a deadline that a test has to wait for.
const soonExpired = 20 * time.Millisecond

func TestReadDeadline(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		b := make([]byte, 4)
		_, err := io.ReadFull(r.Body, b)
		servetest.WantErr(t, "what is here is read", err, nil)
		rc.SetReadDeadline(time.Now().Add(soonExpired))
		_, err = r.Body.Read(b)
		servetest.WantErr(t, "a read past its deadline", err, os.ErrDeadlineExceeded)
		_, err = r.Body.Read(b)
		servetest.WantErr(t, "and the next", err, os.ErrDeadlineExceeded)
		rc.SetReadDeadline(time.Time{})
		w.WriteHeader(200)
		rc.Flush() // the client goes on
		rest, err := io.ReadAll(r.Body)
		servetest.WantErr(t, "without one it goes on", err, nil)
		w.Write(rest)
	})
	a := s.agent()
	pr, pw := io.Pipe()
	go io.WriteString(pw, "body")
	resp, err := a.RoundTrip(a.request(context.Background(), "POST", "/", pr))
	servetest.Must(t, "the head", err)
	io.WriteString(pw, "rest")
	pw.Close()
	b, err := io.ReadAll(resp.Body)
	servetest.WantErr(t, "the answer", err, nil)
	servetest.Want(t, "the answer", string(b), "rest")
}

// wantWaits makes sure that a call of the handler, the first that has to, waits.
func wantWaits(t *testing.T, why string, n *Counters) {
	t.Helper()
	servetest.WantSoon(t, why, func() bool { return n.HandOffs.Load() == 1 })
}

// TestReadDeadlineMoved: a deadline that another goroutine sets is seen by a
// read that waits, be it earlier or later, and though a write waits meanwhile.
func TestReadDeadlineMoved(t *testing.T) {
	n := new(Counters)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		wrote := make(chan error, 1)
		go func() {
			_, err := io.WriteString(w, mb3)
			wrote <- err
		}()
		wantWaits(t, "the write waits", n)
		rc.SetReadDeadline(time.Now().Add(time.Hour))
		read := make(chan error, 1)
		go func() {
			_, err := r.Body.Read(make([]byte, 1))
			read <- err
		}()
		rc.SetReadDeadline(time.Time{})
		rc.SetReadDeadline(time.Now().Add(soonExpired))
		servetest.WantErr(t, "the read that waited", next(t, "its end", read), os.ErrDeadlineExceeded)
		rc.SetWriteDeadline(time.Now().Add(soonExpired))
		servetest.WantErr(t, "the write that waited", next(t, "its end", wrote), os.ErrDeadlineExceeded)
	}, func(cfg *Config) { cfg.Counters = n })
	a := s.agent(narrow)
	pr, pw := io.Pipe()
	defer pw.Close()
	resp, err := a.RoundTrip(a.request(context.Background(), "POST", "/", pr))
	servetest.Must(t, "the head", err)
	servetest.WantSoon(t, "the handler has returned", func() bool { return !s.only().busy() })
	_, err = io.Copy(io.Discard, resp.Body)
	servetest.Want(t, "the answer is cut", err != nil, true)
	servetest.Want(t, "nobody was too slow", s.cfg.Counters.TimedOut.Load(), 0)
}

// TestReadDeadlineTaken: without a deadline of its handler's a read that waits has
// the peer's again (S-2).
func TestReadDeadlineTaken(t *testing.T) {
	n := new(Counters)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		rc.SetReadDeadline(time.Now().Add(time.Hour))
		read := make(chan error, 1)
		go func() {
			_, err := r.Body.Read(make([]byte, 1))
			read <- err
		}()
		wantWaits(t, "the read waits", n)
		rc.SetReadDeadline(time.Time{})
		servetest.WantErr(t, "a peer that sends nothing", next(t, "its end", read), errTimeout)
	}, func(cfg *Config) { cfg.Counters, cfg.BodyIdleTimeout = n, 50*time.Millisecond })
	a := s.agent()
	pr, pw := io.Pipe()
	defer pw.Close()
	a.do(a.request(context.Background(), "POST", "/", pr)).want(t, "the answer", 408, "")
}

func TestWriteDeadline(t *testing.T) {
	done := make(chan struct{}, 2)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		defer func() { done <- struct{}{} }()
		rc := http.NewResponseController(w)
		if r.URL.Path == "/passed" {
			rc.SetWriteDeadline(time.Now().Add(-time.Second))
			_, err := io.WriteString(w, mb3)
			servetest.WantErr(t, "a write past its deadline", err, os.ErrDeadlineExceeded)
			return
		}
		rc.SetWriteDeadline(time.Now().Add(soonExpired))
		_, err := io.WriteString(w, mb3)
		servetest.WantErr(t, "a write that waits too long", err, os.ErrDeadlineExceeded)
		_, err = io.WriteString(w, "x")
		servetest.WantErr(t, "and the next", err, os.ErrDeadlineExceeded)
	})
	a := s.agent(narrow)
	resp, err := a.RoundTrip(a.request(context.Background(), "GET", "/", nil))
	servetest.Must(t, "the head", err)
	<-done
	_, err = io.Copy(io.Discard, resp.Body)
	servetest.Want(t, "the answer is cut", err != nil, true)
	servetest.Want(t, "nothing of it arrives", a.get("/passed").err != nil, true)
	<-done
	servetest.Want(t, "nobody was too slow", s.cfg.Counters.TimedOut.Load(), 0)
	servetest.Want(t, "neither was answered", s.cfg.Counters.Requests.Load(), 0)
}

// TestWriteDeadlineMoved: a handler may move its deadline while a write waits,
// and neither lose its own by it nor the peer's (S-3).
func TestWriteDeadlineMoved(t *testing.T) {
	for _, tt := range []struct {
		name string
		idle time.Duration
		last time.Duration // the last deadline, from then on; 0: none
		want error
	}{
		{"its own", time.Hour, soonExpired, os.ErrDeadlineExceeded},
		{"the peer's", 50 * time.Millisecond, 0, errStalled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := new(Counters)
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				rc := http.NewResponseController(w)
				wrote := make(chan error, 1)
				go func() {
					_, err := io.WriteString(w, mb3)
					wrote <- err
				}()
				wantWaits(t, "the write waits", n)
				for range 10 {
					rc.SetWriteDeadline(time.Now().Add(time.Hour))
					time.Sleep(time.Millisecond)
				}
				var last time.Time
				if tt.last > 0 {
					last = time.Now().Add(tt.last)
				}
				rc.SetWriteDeadline(last)
				servetest.WantErr(t, "the write", next(t, "its end", wrote), tt.want)
			}, func(cfg *Config) { cfg.Counters, cfg.WriteIdleTimeout = n, tt.idle })
			a := s.agent(narrow)
			resp, err := a.RoundTrip(a.request(context.Background(), "GET", "/", nil))
			servetest.Must(t, "the head", err)
			servetest.WantSoon(t, "the handler has returned", func() bool { return !s.only().busy() })
			_, err = io.Copy(io.Discard, resp.Body)
			servetest.Want(t, "the answer is cut", err != nil, true)
			servetest.Want(t, "a peer too slow", s.cfg.Counters.TimedOut.Load() == 1, tt.last == 0)
		})
	}
}

// TestSlowReader: one that takes enough earns more time for the rest (S-3).
func TestSlowReader(t *testing.T) {
	s := serve(t, text(mb3), func(cfg *Config) { cfg.WriteIdleTimeout = 100 * time.Millisecond })
	a := s.agent(narrow)
	resp, err := a.RoundTrip(a.request(context.Background(), "GET", "/", nil))
	servetest.Must(t, "the head", err)
	n := int64(0)
	for {
		k, err := io.CopyN(io.Discard, resp.Body, 256<<10)
		n += k
		if errors.Is(err, io.EOF) {
			break
		}
		servetest.Must(t, "the answer", err)
		time.Sleep(soonExpired)
	}
	servetest.Want(t, "all of it", n, int64(len(mb3)))
}

// TestFullDuplex: both directions at one time, piece by piece.
func TestFullDuplex(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		servetest.WantErr(t, "EnableFullDuplex", rc.EnableFullDuplex(), nil)
		w.WriteHeader(200)
		rc.Flush()
		for lines := bufio.NewScanner(r.Body); lines.Scan(); rc.Flush() {
			fmt.Fprintln(w, strings.ToUpper(lines.Text()))
		}
		io.WriteString(w, "end")
	})
	a := s.agent()
	pr, pw := io.Pipe()
	resp, err := a.RoundTrip(a.request(context.Background(), "POST", "/", pr))
	servetest.Must(t, "the head comes first", err)
	back := bufio.NewReader(resp.Body)
	for i := range 200 {
		fmt.Fprintf(pw, "line %d\n", i)
		line, err := back.ReadString('\n')
		servetest.Must(t, "a line comes back", err)
		servetest.Want(t, "it", line, fmt.Sprintf("LINE %d\n", i))
	}
	pw.Close()
	rest, err := io.ReadAll(back)
	servetest.WantErr(t, "the end", err, nil)
	servetest.Want(t, "the end", string(rest), "end")
}
