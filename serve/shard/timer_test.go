//go:build linux

package shard

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// clockwork is a shard that only has a wheel, whose clock the test moves.
type clockwork struct {
	*Shard
	l leader
}

func newClockwork() *clockwork {
	sh := &Shard{base: time.Now()}
	sh.now = sh.base
	sh.cfg.WriteIdleTimeout = defaultWriteIdleTimeout
	return &clockwork{Shard: sh, l: leader{sh: sh}}
}

func (k *clockwork) conn(fired func(c *Conn)) *Conn {
	c := &Conn{sh: k.Shard, fd: -1}
	c.registered.Store(true)
	c.drv = &stub{timer: func() { fired(c) }}
	return c
}

// at moves the clock to d after its beginning, and looks at the wheel.
func (k *clockwork) at(t testing.TB, d time.Duration) {
	t.Helper()
	k.now = k.base.Add(d)
	if due := k.wheel.due(); due != 0 && k.wheel.count == 0 && k.wheel.extra == 0 {
		t.Fatal("an empty wheel is due")
	}
	if !k.l.expire() {
		t.Fatal("overtaken")
	}
}

func (k *clockwork) set(c *Conn, d time.Duration) {
	c.SetTimer(k.base.Add(d))
	k.wheel.place(k.Shard, c)
}

// A deadline fires at or after its time and never before, within a tick and
// the step of the clock; also far beyond the horizon.
func TestWheelFires(t *testing.T) {
	const step = 37 * time.Millisecond
	k := newClockwork()
	want := map[*Conn]time.Duration{}
	var now time.Duration
	fired := func(c *Conn) {
		d, ok := want[c]
		if !ok {
			t.Fatal("fired twice")
		}
		delete(want, c)
		if now < d {
			t.Fatalf("deadline %v fired at %v", d, now)
		}
		if late := now - d; late > time.Duration(wheelTick)+2*step {
			t.Fatalf("deadline %v fired %v late", d, late)
		}
	}
	horizon := time.Duration(wheelTick) * wheelSlots
	add := func(d time.Duration) {
		c := k.conn(fired)
		want[c] = d
		k.set(c, d)
	}
	for _, d := range []time.Duration{
		1, time.Millisecond, time.Duration(wheelTick) - 1, time.Duration(wheelTick), time.Duration(wheelTick) + 1,
		horizon - time.Duration(wheelTick), horizon - 1, horizon, horizon + 1, 2 * horizon, 3*horizon + 1,
	} {
		add(d)
	}
	for range 500 {
		add(rand.N(3 * horizon))
	}
	for ; now < 3*horizon+time.Second; now += step {
		if rand.IntN(50) == 0 {
			add(now + rand.N(horizon/4))
		}
		if due := k.wheel.due(); k.wheel.count > 0 {
			for _, d := range want {
				// What is armed never comes after the first deadline's slot.
				if slot := tickOf(int64(d)) * wheelTick; due > slot && now < d {
					t.Fatalf("at %v the wheel is due at %v, after the deadline %v", now, time.Duration(due), d)
				}
			}
		}
		k.at(t, now)
	}
	for _, d := range want {
		if d < now-time.Second {
			t.Errorf("deadline %v never fired", d)
		}
	}
}

// The clock may stand still for long (a machine asleep): all that came due fires.
func TestWheelLeap(t *testing.T) {
	k := newClockwork()
	n := 0
	for i := range 3000 {
		k.set(k.conn(func(*Conn) { n++ }), time.Duration(i)*500*time.Millisecond)
	}
	k.at(t, 2000*time.Hour)
	k.at(t, 2000*time.Hour+time.Second)
	if n != 3000 || k.wheel.count != 0 {
		t.Errorf("%d fired of 3000, %d left", n, k.wheel.count)
	}
}

// A later deadline does not move the connection, an earlier one does at once.
func TestWheelIsLazy(t *testing.T) {
	k := newClockwork()
	n := 0
	c := k.conn(func(*Conn) { n++ })
	k.set(c, time.Second)
	place := c.wheelAt
	for i := range 100 {
		k.set(c, 2*time.Second+time.Duration(i)*time.Millisecond)
	}
	if c.wheelAt != place {
		t.Errorf("moved from %d to %d by a later deadline", place, c.wheelAt)
	}
	k.at(t, 1200*time.Millisecond)
	if n != 0 || c.wheelAt <= place {
		t.Errorf("at its old place: fired %d times, now at %d", n, c.wheelAt)
	}
	k.set(c, 1500*time.Millisecond)
	if want := tickOf(int64(1500 * time.Millisecond)); c.wheelAt != want {
		t.Errorf("an earlier deadline: at %d, want %d", c.wheelAt, want)
	}
	if got := k.wheel.due(); got != int64(1600*time.Millisecond) {
		t.Errorf("due at %v", time.Duration(got))
	}
	k.at(t, 1499*time.Millisecond)
	if n != 0 {
		t.Error("fired early")
	}
	k.at(t, 1600*time.Millisecond)
	if n != 1 || k.wheel.count != 0 {
		t.Errorf("fired %d times, %d left", n, k.wheel.count)
	}
	k.at(t, 10*time.Second)
	if n != 1 {
		t.Error("fired again")
	}
}

// A timer taken back does not fire; its place is looked at once and dropped.
func TestWheelCancel(t *testing.T) {
	k := newClockwork()
	n := 0
	c, d := k.conn(func(*Conn) { n++ }), k.conn(func(*Conn) { n += 10 })
	k.set(c, time.Second)
	k.set(d, time.Second)
	c.SetTimer(time.Time{})
	k.wheel.place(k.Shard, c)
	k.wheel.remove(d)
	k.wheel.remove(d)
	k.at(t, 5*time.Second)
	if n != 0 || k.wheel.count != 0 || c.wheelAt != 0 {
		t.Errorf("fired %d, %d left", n, k.wheel.count)
	}
}

// A busy connection is passed over and placed anew when it comes back.
func TestWheelBusy(t *testing.T) {
	k := newClockwork()
	n := 0
	c := k.conn(func(*Conn) { n++ })
	k.set(c, time.Second)
	c.busy = true
	k.at(t, 2*time.Second)
	if n != 0 {
		t.Error("fired under its handler")
	}
	c.busy = false
	k.settle(c)
	k.at(t, 3*time.Second)
	if n != 1 {
		t.Errorf("fired %d times after the handler", n)
	}
}

// In a running shard that sleeps, is busy, or is led by others meanwhile.
func TestOnTimerNotEarly(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		for _, busy := range []bool{false, true} {
			sh := runShard(t, Config{})
			if busy {
				var steps atomic.Int64
				defer saturate(t, sh, &steps)()
			}
			const n = 20
			early := make(chan time.Duration, n)
			for i := range n {
				a, b := pair(t)
				peer := asConn(t, b)
				defer peer.Close()
				adopt(sh, a, &Service{Open: func(c *Conn) Driver {
					var at time.Time
					return &stub{
						readable: func() {
							if at.IsZero() {
								at = time.Now().Add(time.Duration(i*25) * time.Millisecond)
								c.SetTimer(at)
							}
						},
						timer: func() { early <- time.Until(at); c.Done(nil) },
					}
				}})
			}
			for range n {
				select {
				case d := <-early:
					if d > 0 {
						t.Errorf("%v early", d)
					}
				case <-time.After(10 * time.Second):
					t.Fatalf("busy=%t: a timer does not fire", busy)
				}
			}
		}
	})
}

// A timer that was set under a handler which is overtaken counts when the
// connection has come back.
func TestOnTimerAfterOvertaking(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		_, addr := serveEcho(t, func(c *Conn, s string) string {
			c.Lead()
			c.SetTimer(time.Now().Add(50 * time.Millisecond))
			time.Sleep(150 * time.Millisecond)
			return s
		})
		c, r := dial(t, addr)
		ask(t, c, r, "x")
		if _, err := r.ReadByte(); err != io.EOF { // echo's OnTimer
			t.Errorf("%v", err)
		}
	})
}

// Rule S-3: a peer that takes nothing is cut, without a handler and under one
// that waits; one that takes something is not.
func TestWriteIdleTimeout(t *testing.T) {
	for _, how := range []string{"kept", "waits"} {
		t.Run(how, func(t *testing.T) {
			sh := runShard(t, Config{WriteIdleTimeout: 200 * time.Millisecond})
			a, b := pair(t)
			peer := asConn(t, b)
			defer peer.Close()
			waited := make(chan error, 1)
			adopt(sh, a, &Service{Open: func(c *Conn) Driver {
				return &echo{c: c, handler: func(c *Conn, s string) string {
					c.Write(make([]byte, 4<<20))
					if how == "waits" {
						err := c.WaitWritable(0)
						waited <- err
						c.Done(err)
					}
					return s
				}}
			}})
			io.WriteString(peer, "go\n")
			if how == "kept" {
				for deadline := time.Now().Add(10 * time.Second); sh.Counters().Stalled.Load() == 0; time.Sleep(10 * time.Millisecond) {
					if time.Now().After(deadline) {
						t.Fatal("not cut")
					}
				}
			} else {
				select {
				case err := <-waited:
					if !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Error(err)
					}
				case <-time.After(10 * time.Second):
					t.Fatal("waits for ever")
				}
			}
			for deadline := time.Now().Add(10 * time.Second); sh.Live() > 0; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("not cut")
				}
			}
			if n := sh.Counters().Stalled.Load(); how == "kept" && n != 1 {
				t.Errorf("counted %d", n)
			}
		})
	}
	t.Run("slow", func(t *testing.T) {
		sh := runShard(t, Config{WriteIdleTimeout: 2 * time.Second})
		a, b := pair(t)
		peer := asConn(t, b)
		defer peer.Close()
		const size = 4 << 20
		adopt(sh, a, &Service{Open: func(c *Conn) Driver {
			return &echo{c: c, handler: func(c *Conn, s string) string {
				c.Write(make([]byte, size))
				return s
			}}
		}})
		io.WriteString(peer, "go\n")
		buf := make([]byte, size/24)
		for left := size; left > 0; left -= len(buf) {
			buf = buf[:min(len(buf), left)]
			if _, err := io.ReadFull(peer, buf); err != nil {
				t.Fatalf("%d bytes before the end: %v", left, err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if s, err := bufio.NewReader(peer).ReadString('\n'); s != "go\n" {
			t.Errorf("%q %v", s, err)
		}
		if n := sh.Counters().Stalled.Load(); n != 0 {
			t.Errorf("%d cut", n)
		}
	})
}

// The deadlines of a running handler's waits.
func TestReadDeadline(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		_, addr := serveEcho(t, func(c *Conn, s string) string {
			begun := time.Now()
			c.SetReadDeadline(begun.Add(30 * time.Millisecond))
			err := c.WaitReadable()
			for err == nil && time.Since(begun) < 5*time.Second {
				err = c.WaitReadable() // a pending signal costs one extra look
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begun) < 30*time.Millisecond {
				return fmt.Sprint("first: ", err, " after ", time.Since(begun))
			}
			if err := c.WaitReadable(); !errors.Is(err, os.ErrDeadlineExceeded) {
				return fmt.Sprint("it has passed: ", err)
			}
			c.SetReadDeadline(time.Now().Add(-time.Second))
			if err := c.WaitReadable(); !errors.Is(err, os.ErrDeadlineExceeded) {
				return fmt.Sprint("past: ", err)
			}
			c.SetReadDeadline(time.Time{})
			woken := make(chan struct{})
			go func() {
				time.Sleep(5 * time.Millisecond)
				c.WakeReader()
				close(woken)
			}()
			if err := c.WaitReadable(); err != nil {
				return fmt.Sprint("none: ", err)
			}
			<-woken
			return s
		})
		c, r := dial(t, addr)
		for range 3 {
			if got := ask(t, c, r, "ok"); got != "ok" {
				t.Error(got)
			}
		}
	})
}

// A deadline that is taken back in the moment in which it passes does not pass
// afterwards.
func TestDeadlineTakenBack(t *testing.T) {
	c := &Conn{sh: &Shard{base: time.Now()}}
	w := c.waits()
	for i := 0; i < 20000 && !t.Failed(); i++ {
		d := time.Duration(i%100) * time.Microsecond / 2
		begun := time.Now()
		c.SetReadDeadline(begun.Add(d))
		for time.Since(begun) < d {
			runtime.Gosched()
		}
		c.SetReadDeadline(time.Time{})
		for range 3 {
			if w.readLate.Load() {
				t.Errorf("round %d: passed after it was taken back", i)
				break
			}
			runtime.Gosched()
		}
	}
}
