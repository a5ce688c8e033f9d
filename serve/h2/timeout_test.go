package h2

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
)

// Every wait has a deadline (H2-11, H2-12, S-1 to S-4): what is in time, a
// millisecond before it, and what is not. Output that stalls is in stall_test.go.

const tick = time.Millisecond

// wantTimeout wants the connection open until a tick before d from now, and its
// end then.
func (p *peer) wantTimeout(why string, d time.Duration, last uint32, code xhttp2.ErrCode) {
	p.t.Helper()
	time.Sleep(d - tick)
	p.wantIdle(why + ": a tick before")
	time.Sleep(tick)
	p.wantEnd(why, last, code)
}

func TestPrefaceTimeout(t *testing.T) {
	silent := func(t *testing.T, fm form) *peer {
		c := dial(t, fm, unreached(t))
		c.wantSettings("the server's")
		return c
	}
	script(t, "H2-11 no byte", func(t *testing.T, fm form) {
		silent(t, fm).wantTimeout("no preface", prefaceTimeout, 0, xhttp2.ErrCodeSettingsTimeout)
	})
	script(t, "H2-11 half a preface, in a drip", func(t *testing.T, fm form) {
		c := silent(t, fm)
		for i := range 9 {
			c.write(xhttp2.ClientPreface[i : i+1])
			time.Sleep(time.Second)
		}
		c.wantTimeout("9 bytes in 9 s", prefaceTimeout-9*time.Second, 0, xhttp2.ErrCodeSettingsTimeout)
	})
	script(t, "H2-11 no SETTINGS", func(t *testing.T, fm form) {
		c := silent(t, fm)
		time.Sleep(3 * time.Second)
		c.write(xhttp2.ClientPreface)
		c.wantTimeout("the magic alone", settingsTimeout, 0, xhttp2.ErrCodeSettingsTimeout)
	})
	script(t, "H2-11 SETTINGS in a drip", func(t *testing.T, fm form) {
		c := silent(t, fm)
		time.Sleep(3 * time.Second)
		c.write(xhttp2.ClientPreface)
		c.write("\x00\x00\x06")
		time.Sleep(settingsTimeout - time.Second)
		c.write("\x04")
		c.wantTimeout("a begun SETTINGS frame", time.Second, 0, xhttp2.ErrCodeSettingsTimeout)
	})
	script(t, "H2-11 at the last moment", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.wantSettings("the server's")
		time.Sleep(ackTimeout - settingsTimeout - tick)
		c.write(xhttp2.ClientPreface)
		time.Sleep(settingsTimeout - tick)
		c.settings()
		c.wantSettingsAck("both in time")
		c.fr.WriteSettingsAck()
		c.get(1, "/")
		c.wantAnswer("served", 1, 200, "hello")
	})
	script(t, "H2-11 the configuration does not matter", func(t *testing.T, fm form) {
		cfg, log := testConfig(unreached(t))
		cfg.IdleTimeout, cfg.ReadHeadTimeout, cfg.MaxConnAge = -1, -1, -1
		c := dialConfig(t, fm, Complete(cfg), log)
		c.wantSettings("the server's")
		c.wantTimeout("no preface", prefaceTimeout, 0, xhttp2.ErrCodeSettingsTimeout)
	})
}

func TestSettingsAckTimeout(t *testing.T) {
	begin := func(t *testing.T, fm form) *peer {
		c := dial(t, fm, hello)
		c.wantSettings("the server's")
		c.write(xhttp2.ClientPreface)
		c.settings()
		c.wantSettingsAck("the client's")
		return c
	}
	script(t, "H2-11 never", func(t *testing.T, fm form) {
		begin(t, fm).wantTimeout("our SETTINGS are not acknowledged", ackTimeout, 0, xhttp2.ErrCodeSettingsTimeout)
	})
	script(t, "H2-11 requests do not help", func(t *testing.T, fm form) {
		c := begin(t, fm)
		for i := range uint32(9) {
			c.get(2*i+1, "/")
			c.wantAnswer("served", 2*i+1, 200, "hello")
			time.Sleep(time.Second)
		}
		c.wantTimeout("our SETTINGS are not acknowledged", ackTimeout-9*time.Second, 17, xhttp2.ErrCodeSettingsTimeout)
	})
	script(t, "H2-11 in time", func(t *testing.T, fm form) {
		c := begin(t, fm)
		time.Sleep(ackTimeout - tick)
		c.fr.WriteSettingsAck()
		c.send()
		time.Sleep(time.Minute)
		c.wantLive("acknowledged")
	})
}

func TestSlowHeaders(t *testing.T) {
	wantSlow := func(c *peer, why string, d time.Duration) {
		c.t.Helper()
		time.Sleep(d - tick)
		c.wantIdle(why + ": a tick before")
		time.Sleep(tick)
		c.wantCalm(why, ReasonSlowHead)
		if n := c.cfg.Counters.TimedOut.Load(); n != 1 {
			c.t.Errorf("%s: TimedOut = %d, want 1", why, n)
		}
	}
	script(t, "S-1 HEADERS without END_HEADERS", func(t *testing.T, fm form) {
		c := connect(t, fm, unreached(t))
		c.headersFragment(1, xhttp2.FlagHeadersEndStream, c.fragment(head4("GET", "/")...))
		wantSlow(c, "a block without end", defaultReadHeadTimeout)
	})
	script(t, "S-1 CONTINUATION in a drip", func(t *testing.T, fm form) {
		c := connect(t, fm, unreached(t))
		block := c.fragment(head4("GET", "/")...)
		c.headersFragment(1, xhttp2.FlagHeadersEndStream, block[:1])
		for i := 1; i < 5; i++ {
			time.Sleep(2 * time.Second)
			c.fr.WriteContinuation(1, false, block[i:i+1])
			c.send()
		}
		wantSlow(c, "a frame every 2 s", 2*time.Second)
	})
	script(t, "S-1 half a frame", func(t *testing.T, fm form) {
		c := connect(t, fm, unreached(t))
		c.write("\x00\x00\x20\x01")
		wantSlow(c, "half a frame header", defaultReadHeadTimeout)
	})
	script(t, "S-1 a frame in a drip", func(t *testing.T, fm form) {
		c := connect(t, fm, unreached(t))
		frame := "\x00\x00\x20\x01\x05\x00\x00\x00\x01" + strings.Repeat("x", 20)
		for i := range 9 {
			c.write(frame[3*i : 3*i+3])
			time.Sleep(time.Second)
		}
		wantSlow(c, "3 bytes a second", defaultReadHeadTimeout-9*time.Second)
	})
	script(t, "S-1 the whole head counts, from its first byte", func(t *testing.T, fm form) {
		c := connect(t, fm, unreached(t))
		block := c.fragment(head4("GET", "/")...)
		c.write(string([]byte{0, 0, byte(len(block)), 1, 1, 0, 0, 0, 1}))
		time.Sleep(6 * time.Second)
		c.open(1)
		c.write(string(block)) // HEADERS is whole, END_HEADERS lacks
		wantSlow(c, "6 s for HEADERS", 4*time.Second)
	})
	script(t, "S-1 at the last moment", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		block := c.fragment(head4("GET", "/")...)
		c.headersFragment(1, xhttp2.FlagHeadersEndStream, block[:3])
		time.Sleep(defaultReadHeadTimeout - tick)
		c.fr.WriteContinuation(1, true, block[3:])
		c.send()
		c.wantAnswer("in time", 1, 200, "hello")
		time.Sleep(time.Minute)
		c.wantLive("its clock has stopped")
	})
	script(t, "S-1 reads that always end within a frame", func(t *testing.T, fm form) {
		// Each frame is in time; the next has always begun.
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(io.Discard, r.Body)
			if n != 60_000 || err != nil {
				t.Errorf("read %d bytes, %v", n, err)
			}
		})
		c.post(1, "/")
		c.together = true
		for range 60 {
			c.data(1, strings.Repeat("x", 1000))
		}
		c.dataEnd(1, "")
		stream := c.say.String()
		c.say.Reset()
		c.together = false
		c.write(stream[:500])
		for stream = stream[500:]; len(stream) > 1009; stream = stream[1009:] {
			time.Sleep(time.Second)
			c.write(stream[:1009])
			c.settle()
		}
		c.write(stream)
		c.wantAnswer("a minute's upload", 1, 200, "")
	})
	script(t, "S-1 the same with requests", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		c.together = true
		for id := uint32(1); id < 60; id += 2 {
			c.get(id, "/")
		}
		stream := c.say.String()
		c.say.Reset()
		c.together = false
		n := len(stream) / 30
		for ; len(stream) > 0; stream = stream[min(n, len(stream)):] {
			c.write(stream[:min(n, len(stream))])
			time.Sleep(time.Second)
		}
		for id := uint32(1); id < 60; id += 2 {
			c.wantAnswer("a request a second, in odd pieces", id, 200, "hello")
		}
	})
	script(t, "S-2 a DATA frame at 300 bytes a second", func(t *testing.T, fm form) {
		c := connect(t, fm, echoLength)
		c.post(1, "/")
		const size, rate = 16384, 300
		c.say.Reset()
		c.together = true
		c.dataEnd(1, pattern(size))
		stream := c.say.String()
		c.say.Reset()
		c.together = false
		for ; len(stream) > 0; stream = stream[min(rate, len(stream)):] {
			c.write(stream[:min(rate, len(stream))])
			time.Sleep(time.Second)
		}
		c.wantAnswer("55 s for a frame", 1, 200, strconv.Itoa(size))
	})
	script(t, "S-1 none", func(t *testing.T, fm form) {
		c := connectWith(t, fm, hello, func(cfg *Config) { cfg.ReadHeadTimeout, cfg.IdleTimeout = -1, -1 })
		block := c.fragment(head4("GET", "/")...)
		c.headersFragment(1, xhttp2.FlagHeadersEndStream, block[:3])
		time.Sleep(24 * time.Hour)
		c.fr.WriteContinuation(1, true, block[3:])
		c.send()
		c.wantAnswer("a day later", 1, 200, "hello")
	})
}

func TestIdleTimeout(t *testing.T) {
	script(t, "S-4 before the first request", func(t *testing.T, fm form) {
		connect(t, fm, hello).wantTimeout("idle", defaultIdleTimeout, 0, xhttp2.ErrCodeNo)
	})
	script(t, "S-4 between requests", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		for id := uint32(1); id <= 5; id += 2 {
			time.Sleep(defaultIdleTimeout - tick)
			c.get(id, "/")
			c.wantAnswer("74.999 s later", id, 200, "hello")
		}
		c.wantTimeout("idle", defaultIdleTimeout, 5, xhttp2.ErrCodeNo)
	})
	script(t, "S-4 frames without a stream do not extend it", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		for range 74 {
			time.Sleep(time.Second)
			c.ping("idle?...")
			c.wantPing("answered", "idle?...", true)
		}
		c.wantTimeout("PINGs", defaultIdleTimeout-74*time.Second, 0, xhttp2.ErrCodeNo)
	})
	script(t, "S-4 not while a handler runs", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(10 * time.Minute)
			hello(w, r)
		})
		c.get(1, "/")
		c.wantIdle("the handler sleeps")
		time.Sleep(10 * time.Minute)
		c.wantAnswer("ten minutes later", 1, 200, "hello")
		c.wantTimeout("idle since then", defaultIdleTimeout, 1, xhttp2.ErrCodeNo)
	})
	script(t, "S-4 none", func(t *testing.T, fm form) {
		c := connectWith(t, fm, hello, func(cfg *Config) { cfg.IdleTimeout = -1 })
		time.Sleep(24 * time.Hour)
		c.get(1, "/")
		c.wantAnswer("idle for a day", 1, 200, "hello")
	})
}

// timeoutOf reads a body to its end, and notes the error.
func timeoutOf(t *testing.T, n *notes) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		b, err := io.ReadAll(r.Body)
		var timeout interface{ Timeout() bool }
		n.add("%d bytes, %v, timeout %v", len(b), time.Since(begin), errors.As(err, &timeout) && timeout.Timeout())
	}
}

func TestBodyIdle(t *testing.T) {
	script(t, "S-2 no byte", func(t *testing.T, fm form) {
		var n notes
		c := connectWith(t, fm, timeoutOf(t, &n), func(cfg *Config) { cfg.BodyMinRate = -1 })
		c.post(1, "/")
		c.wantIdle("it waits")
		for range 3 {
			time.Sleep(defaultBodyIdleTimeout - tick)
			c.data(1, "x")
			c.wantIdle("a byte every 59.999 s is progress")
		}
		time.Sleep(defaultBodyIdleTimeout - tick)
		c.wantIdle("59.999 s without a byte")
		time.Sleep(tick)
		c.wantAnswer("60 s", 1, 408, "")
		n.want(t, "the handler", "3 bytes, 3m59.997s, timeout true")
		c.wantReset("the rest is not wanted", 1, xhttp2.ErrCodeNo)
		if n := c.cfg.Counters.TimedOut.Load(); n != 1 {
			t.Errorf("TimedOut = %d, want 1", n)
		}
		c.data(1, "late")
		c.wantLive("the connection goes on")
	})
	script(t, "S-2 a handler that does not read has all the time", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Hour / 2)
			io.Copy(w, r.Body)
		})
		c.post(1, "/")
		c.dataEnd(1, "early")
		c.wantIdle("the handler sleeps")
		time.Sleep(time.Hour / 2)
		c.wantAnswer("half an hour later", 1, 200, "early")
	})
	script(t, "S-2 others go on", func(t *testing.T, fm form) {
		var n notes
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "POST" {
				timeoutOf(t, &n)(w, r)
				return
			}
			hello(w, r)
		})
		c.post(1, "/")
		for i := range uint32(10) {
			c.get(2*i+3, "/")
			c.wantAnswer("a neighbour", 2*i+3, 200, "hello")
			time.Sleep(time.Second)
		}
		n.want(t, "no byte in the grace of 10 s", "0 bytes, 10s, timeout true")
		c.wantAnswer("no byte in the grace of 10 s", 1, 408, "")
	})
}

func TestBodyRate(t *testing.T) {
	// upload sends size bytes every 0.9 s.
	upload := func(t *testing.T, fm form, n *notes, size, times int) *peer {
		c := connect(t, fm, timeoutOf(t, n))
		c.post(1, "/")
		for range times {
			c.data(1, strings.Repeat("x", size))
			c.settle()
			time.Sleep(900 * time.Millisecond)
		}
		return c
	}
	script(t, "S-2 240 bytes a second", func(t *testing.T, fm form) {
		var n notes
		c := upload(t, fm, &n, 9*defaultBodyMinRate/10+1, 300)
		c.dataEnd(1, "")
		c.wantAnswer("for minutes", 1, 200, "")
		n.want(t, "the handler", "65100 bytes, 4m30s, timeout false")
	})
	script(t, "S-2 200 bytes a second", func(t *testing.T, fm form) {
		var n notes
		c := upload(t, fm, &n, 180, 20)
		c.wantAnswer("too slow behind the grace", 1, 408, "")
		n.want(t, "the handler", "2160 bytes, 10s, timeout true")
	})
	script(t, "S-2 what came early counts", func(t *testing.T, fm form) {
		var n notes
		c := connect(t, fm, timeoutOf(t, &n))
		c.post(1, "/")
		c.data(1, strings.Repeat("x", 50*defaultBodyMinRate))
		c.wantIdle("50 s are earned")
		time.Sleep(50*time.Second - tick)
		c.wantIdle("49.999 s")
		time.Sleep(tick)
		c.wantAnswer("50 s", 1, 408, "")
		n.want(t, "the handler", "12000 bytes, 50s, timeout true")
	})
	script(t, "S-2 the answer begins while it is waited for", func(t *testing.T, fm form) {
		var n notes
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			read := make(chan struct{})
			go func() {
				defer close(read)
				timeoutOf(t, &n)(w, r)
			}()
			time.Sleep(time.Second)
			w.WriteHeader(200)
			_ = http.NewResponseController(w).Flush()
			<-read
		})
		c.post(1, "/")
		c.data(1, "x")
		time.Sleep(5 * time.Minute)
		c.dataEnd(1, "y")
		c.wantAnswer("they converse", 1, 200, "")
		n.want(t, "the handler", "2 bytes, 5m0s, timeout false")
	})
	script(t, "S-2 the grace", func(t *testing.T, fm form) {
		var n notes
		c := upload(t, fm, &n, 1, 10)
		c.dataEnd(1, "")
		c.wantAnswer("ten bytes in 9 s", 1, 200, "")
		n.want(t, "the handler", "10 bytes, 9s, timeout false")
		c.post(3, "/")
		c.data(3, "x")
		c.wantIdle("another")
		time.Sleep(bodyRateGrace - tick)
		c.wantIdle("9.999 s")
		time.Sleep(tick)
		c.wantAnswer("one byte in 10 s", 3, 408, "")
	})
	script(t, "S-2 none", func(t *testing.T, fm form) {
		var n notes
		c := connectWith(t, fm, timeoutOf(t, &n), func(cfg *Config) { cfg.BodyMinRate, cfg.BodyIdleTimeout = -1, -1 })
		c.post(1, "/")
		c.wantIdle("it waits")
		time.Sleep(24 * time.Hour)
		c.dataEnd(1, "x")
		c.wantAnswer("a day later", 1, 200, "")
	})
}

func TestConnAge(t *testing.T) {
	script(t, "H1-17 age", func(t *testing.T, fm form) {
		const age = 10 * time.Minute
		c := connectWith(t, fm, hello, func(cfg *Config) { cfg.MaxConnAge = age })
		begin := time.Now()
		for id := uint32(1); ; id += 2 {
			c.get(id, "/")
			c.settle()
			if len(slicesKeep(c.queue, xhttp2.FrameGoAway)) > 0 {
				if d := time.Since(begin); d < age-age/10 || d > age+age/10+time.Second {
					t.Errorf("GOAWAY at an age of %v, want 10 min +-10 %%", d)
				}
				c.wantGoAway("too old", 1<<31-1, xhttp2.ErrCodeNo)
				c.wantPing("its round trip", "drain\x00\x00\x00", false)
				c.wantAnswer("the request is served", id, 200, "hello")
				return
			}
			c.wantAnswer("younger", id, 200, "hello")
			if time.Since(begin) > 2*age {
				t.Fatal("never")
			}
			time.Sleep(time.Second)
		}
	})
	t.Run("H1-17 the jitter", func(t *testing.T) {
		low, high := false, false
		for range 1000 {
			d := jitteredAge(time.Hour)
			if d < 54*time.Minute || d > 66*time.Minute {
				t.Fatalf("%v, want an hour +-10 %%", d)
			}
			low, high = low || d < 57*time.Minute, high || d > 63*time.Minute
			if n := jitteredCount(1000); n < 900 || n > 1100 {
				t.Fatalf("%d, want 1,000 +-10 %%", n)
			}
		}
		if !low || !high {
			t.Error("a thousand ages are not spread")
		}
		if d := jitteredAge(-1); d != 0 {
			t.Errorf("none: %v", d)
		}
		for n := 1; n < 10; n++ {
			if got := int(jitteredCount(n)); got < 1 || got > n+1 {
				t.Errorf("jitteredCount(%d) = %d", n, got)
			}
		}
	})
	script(t, "H1-17 requests", func(t *testing.T, fm form) {
		c := connectWith(t, fm, hello, func(cfg *Config) { cfg.MaxRequests = 20 })
		for id := uint32(1); ; id += 2 {
			c.get(id, "/")
			c.settle()
			if len(slicesKeep(c.queue, xhttp2.FrameGoAway)) > 0 {
				if n := (id + 1) / 2; n < 18 || n > 22 {
					t.Errorf("GOAWAY with request %d, want 20 +-10 %%", n)
				}
				c.wantGoAway("enough", 1<<31-1, xhttp2.ErrCodeNo)
				c.wantPing("its round trip", "drain\x00\x00\x00", false)
				c.wantAnswer("the request is served", id, 200, "hello")
				c.get(id+2, "/")
				c.wantAnswer("and those on their way", id+2, 200, "hello")
				c.pong("drain\x00\x00\x00")
				c.wantEnd("then the end", id+2, xhttp2.ErrCodeNo)
				return
			}
			c.wantAnswer("fewer", id, 200, "hello")
			if id > 60 {
				t.Fatal("never")
			}
		}
	})
	script(t, "S-7 memory is short", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		c.get(1, "/")
		c.wantAnswer("before", 1, 200, "hello")
		c.h.mu.Lock()
		c.h.shed = true
		c.h.mu.Unlock()
		c.get(3, "/")
		c.wantGoAway("no keep-alive", 1<<31-1, xhttp2.ErrCodeNo)
		c.wantPing("its round trip", "drain\x00\x00\x00", false)
		c.wantAnswer("the request is served", 3, 200, "hello")
	})
}

// pong answers a PING.
func (p *peer) pong(s string) { p.fr.WritePing(true, [8]byte([]byte(s))); p.send() }

func TestPingKeepAlive(t *testing.T) {
	const alive = "alive\x00\x00\x00"
	ask := func(t *testing.T, fm form, set func(*Config)) *peer {
		return connectWith(t, fm, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, func(cfg *Config) {
			cfg.PingInterval = 20 * time.Second
			if set != nil {
				set(cfg)
			}
		})
	}
	script(t, "answered", func(t *testing.T, fm form) {
		c := ask(t, fm, nil)
		c.get(1, "/")
		c.wantIdle("the handler waits")
		for range 5 {
			time.Sleep(20*time.Second - tick)
			c.wantIdle("19.999 s")
			time.Sleep(tick)
			c.wantPing("20 s without a byte", alive, false)
			time.Sleep(defaultPingTimeout - tick)
			c.pong(alive)
			c.wantIdle("answered in time")
		}
	})
	script(t, "not answered", func(t *testing.T, fm form) {
		c := ask(t, fm, nil)
		c.get(1, "/")
		c.wantIdle("the handler waits")
		time.Sleep(20 * time.Second)
		c.wantPing("20 s without a byte", alive, false)
		c.wantTimeout("15 s without an answer", defaultPingTimeout, 1, xhttp2.ErrCodeNo)
		if n := c.cfg.Counters.TimedOut.Load(); n != 1 {
			t.Errorf("TimedOut = %d, want 1", n)
		}
	})
	script(t, "other bytes are no answer", func(t *testing.T, fm form) {
		c := ask(t, fm, func(cfg *Config) { cfg.PingTimeout = 5 * time.Second })
		c.get(1, "/")
		time.Sleep(20 * time.Second)
		c.wantPing("20 s without a byte", alive, false)
		c.pong("strange.")
		c.wantTimeout("5 s without an answer", 5*time.Second, 1, xhttp2.ErrCodeNo)
	})
	script(t, "bytes put it off", func(t *testing.T, fm form) {
		c := ask(t, fm, nil)
		c.get(1, "/")
		c.wantIdle("the handler waits")
		for range 10 {
			time.Sleep(20*time.Second - tick)
			c.fr.WritePriority(1, xhttp2.PriorityParam{StreamDep: 3})
			c.send()
			c.wantIdle("19.999 s")
		}
		time.Sleep(20 * time.Second)
		c.wantPing("20 s without a byte", alive, false)
	})
	script(t, "none by default", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		c.get(1, "/")
		c.wantIdle("the handler waits")
		time.Sleep(time.Hour / 2)
		c.wantIdle("half an hour")
	})
}

func TestReadDeadline(t *testing.T) {
	read := func(r *http.Request) (d time.Duration, err error) {
		begin := time.Now()
		_, err = io.ReadAll(r.Body)
		return time.Since(begin), err
	}
	script(t, "ResponseController", func(t *testing.T, fm form) {
		var n notes
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			n.add("set: %v", rc.SetReadDeadline(time.Now().Add(3*time.Second)))
			d, err := read(r)
			n.add("%v %v", d, errors.Is(err, os.ErrDeadlineExceeded))
			d, err = read(r)
			n.add("again: %v %v", d, errors.Is(err, os.ErrDeadlineExceeded))
			w.WriteHeader(503)
		})
		c.post(1, "/")
		c.data(1, "abc")
		c.wantIdle("it waits")
		time.Sleep(3*time.Second - tick)
		c.wantIdle("2.999 s")
		time.Sleep(tick)
		c.wantAnswer("the handler's own answer", 1, 503, "")
		n.want(t, "3 s", "set: <nil>", "3s true", "again: 0s true")
		c.wantReset("the rest is not wanted", 1, xhttp2.ErrCodeNo)
		c.wantLive("the connection goes on")
	})
	script(t, "the past, and none", func(t *testing.T, fm form) {
		var n notes
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			rc.SetReadDeadline(time.Now().Add(-1))
			d, err := read(r)
			n.add("%v %v", d, errors.Is(err, os.ErrDeadlineExceeded))
			rc.SetReadDeadline(time.Time{})
			d, err = read(r)
			n.add("%v %v", d, err)
		})
		c.post(1, "/")
		c.wantIdle("it waits")
		time.Sleep(5 * time.Second)
		c.dataEnd(1, "abc")
		c.wantAnswer("taken back", 1, 200, "")
		n.want(t, "the past, then none", "0s true", "5s <nil>")
	})
	script(t, "moved while it waits", func(t *testing.T, fm form) {
		var n notes
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			rc.SetReadDeadline(time.Now().Add(3 * time.Second))
			go func() {
				time.Sleep(2 * time.Second)
				rc.SetReadDeadline(time.Now().Add(4 * time.Second))
			}()
			d, err := read(r)
			n.add("%v %v", d, errors.Is(err, os.ErrDeadlineExceeded))
		})
		c.post(1, "/")
		c.wantIdle("it waits")
		time.Sleep(7 * time.Second)
		c.settle()
		n.want(t, "2 s and 4 s", "6s true")
	})
	script(t, "it does not outlive its request", func(t *testing.T, fm form) {
		var n notes
		var first *http.ResponseController
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			if first == nil {
				first = http.NewResponseController(w)
				first.SetReadDeadline(time.Now().Add(time.Second))
				return
			}
			n.add("late: %v", first.SetReadDeadline(time.Now()))
			d, err := read(r)
			n.add("%v %v", d, err)
		})
		c.get(1, "/")
		c.wantAnswer("the first", 1, 200, "")
		c.post(3, "/")
		c.wantIdle("it waits")
		time.Sleep(2 * time.Second)
		c.dataEnd(3, "x")
		c.wantAnswer("the second", 3, 200, "")
		n.want(t, "the second", "late: "+errOver.Error(), "2s <nil>")
	})
}

func TestWriteDeadline(t *testing.T) {
	noWindow := xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 0}
	script(t, "ResponseController", func(t *testing.T, fm form) {
		var n notes
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			n.add("set: %v", http.NewResponseController(w).SetWriteDeadline(time.Now().Add(3*time.Second)))
			begin := time.Now()
			_, err := w.Write(make([]byte, 1<<20))
			n.add("%v %v", time.Since(begin), errors.Is(err, os.ErrDeadlineExceeded))
		})
		c.settings(noWindow)
		c.wantSettingsAck("no window")
		c.get(1, "/")
		c.wantHeaders("its head", 1, 200)
		time.Sleep(3*time.Second - tick)
		c.wantIdle("2.999 s")
		time.Sleep(tick)
		c.wantReset("the answer is not whole", 1, xhttp2.ErrCodeInternal)
		n.want(t, "3 s", "set: <nil>", "3s true")
		c.wantLive("the connection goes on")
		c.engine(func(e *Conn) {
			if e.held != 0 {
				t.Errorf("%d bytes are queued still", e.held)
			}
		})
	})
	script(t, "the past", func(t *testing.T, fm form) {
		var n notes
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).SetWriteDeadline(time.Now().Add(-1))
			_, err := w.Write(make([]byte, 100_000))
			n.add("%v", errors.Is(err, os.ErrDeadlineExceeded))
		})
		c.get(1, "/")
		c.settle()
		n.want(t, "at once", "true")
	})
	script(t, "in time", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			rc.SetWriteDeadline(time.Now().Add(3 * time.Second))
			hello(w, r)
			time.Sleep(3*time.Second - tick)
		})
		c.get(1, "/")
		c.wantIdle("it sleeps")
		time.Sleep(3 * time.Second)
		c.wantAnswer("2.999 s", 1, 200, "hello")
		time.Sleep(time.Minute)
		c.wantLive("its timer is gone")
	})
}

// echoLength reads all and answers how much it was.
func echoLength(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
	}
	io.WriteString(w, strconv.FormatInt(n, 10))
}
