package shard

import (
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-edge/penstock/listener"
)

// Driver is the engine of one connection, driven by whoever leads the shard.
// OnReadable, OnWritable, OnTimer, Drain and Close are called by the leader
// only, and never while a handler of the connection runs (of a shared one: while
// one runs inline, see Share). OnHangup, OnCut
// and OnOvertaken are called while one runs, and must neither block nor touch the
// engine's state beyond what their comment allows.
type Driver interface {
	// OnReadable: there may be bytes (or an end) to read.
	OnReadable(now time.Time)
	// OnWritable: what Write had kept back has left.
	OnWritable(now time.Time)
	// OnTimer: the time given to SetTimer has passed.
	OnTimer(now time.Time)
	// OnHangup: the peer is gone (HUP, ERR) or has closed its half (RDHUP)
	// while a handler runs. It may end the request's context, nothing else.
	OnHangup()
	// OnCut: the server ends the connection while a handler runs; as OnHangup.
	OnCut()
	// OnOvertaken: this handler no longer leads; earlier answers of the same
	// connection are to leave now. It must not wait for a lock.
	OnOvertaken()
	// Drain: the server stops; finish, take nothing new.
	Drain(now time.Time)
	// Close: the connection is being cut or has ended.
	Close() error
}

// TaskDriver is a Driver whose handlers run as tasks (RunTask).
type TaskDriver interface {
	Driver
	// OnResume: the handler that has parked goes on, by ResumeTask. Leader only.
	OnResume(now time.Time)
}

// Service is what a listening socket's connections are given to.
type Service struct {
	// Open makes the driver of a new connection. It runs on the leader and
	// must not block. nil: the connection is closed.
	Open func(c *Conn) Driver
	// Gate counts connections and refuses those above the ceilings. nil: none.
	Gate *listener.Gate
	// Proxies are those whose connections begin with a PROXY header, which is
	// the driver's to read: see Conn.Proxied. nil: nobody's do.
	Proxies *listener.Proxies
	// Shared tells whether another process accepts from the sockets, too; see
	// listener.Group.Share. nil: none does.
	Shared func() bool
	// Listener is the group's face, for errors and contexts.
	Listener net.Listener
	// Spread shares this service's connections among shards where there are fewer
	// sockets than shards. Empty: the accepting shard keeps them.
	Spread []*Service
	// Shard is where Spread's connections of this entry go.
	Shard *Shard
	// ConnState observes changes of state. nil: nobody.
	ConnState func(net.Conn, http.ConnState)

	// Atomic; any goroutine.
	open    atomic.Int64 // connections, without those that were hijacked
	leaving atomic.Bool  // Retire was called
}

// Live counts the service's connections without those that were hijacked. Any
// goroutine.
func (svc *Service) Live() int64 { return svc.open.Load() }

// Config is what a shard needs to know. Zero values are defaults.
type Config struct {
	// Index is the shard's number, which is also its socket's in each group.
	Index int
	// WriteIdleTimeout ends a connection whose peer takes no byte of what is
	// waiting for it (rule S-3). If zero, 60 s. If negative, none.
	WriteIdleTimeout time.Duration
	// WriteMinRate is the least average rate in bytes a second at which a
	// waiting peer must read once WriteRateGrace is over (rule S-3: 240 B/s
	// after 10 s). If zero, 240. If negative, none.
	WriteMinRate int
	// Log receives accept failures and fatal errors. nil: slog.Default().
	Log *slog.Logger
	// Empty is called by the leader when the last connection of a draining
	// shard has gone, or of a service that leaves; it must not block. nil: nobody.
	Empty func()
	// Fatal is told of an error that ends accepting on a socket. nil: nobody.
	Fatal func(error)
}

const (
	defaultWriteIdleTimeout = 60 * time.Second
	defaultWriteMinRate     = 240
	writeRateGrace          = 10 * time.Second

	// spinLimit is how long a leader serves without waiting before it really
	// waits once: a yield does not poll, so on one core everything else in
	// Go's poller would starve (BenchmarkForeignRoundTrip).
	spinLimit = 200 * time.Microsecond

	// yieldEvery is how long others that are ready to run on this core may wait
	// for a busy leader; a yield costs about 0.1 us.
	yieldEvery = 50 * time.Microsecond

	// maxSpares bounds the goroutines kept for the next hand-off or handshake.
	// Each keeps its grown stack (2-16 KiB), which is what makes it cheap.
	maxSpares = 16
)

// Shard is one core's sockets, epoll set, connections, timers and counters.
// Make it with New, then Start; Stop ends it.
type Shard struct {
	// Immutable after New.
	id    int
	cfg   Config
	poll  *poller
	procs int
	spare *listener.Spare
	base  time.Time // zero of the timer wheel; monotonic

	// Atomic; any goroutine.
	token     token
	sleeping  atomic.Bool  // the leader waits in the poller: ring after pushing
	wall      atomic.Int64 // the leader's now as Unix nanoseconds
	slowUntil atomic.Int64 // handlers were overtaken lately, until (ns since base)
	counters  Counters

	// Owned by the leader: handed over with the token.
	current  *Conn // whose handler runs, or ran last
	events   [batchSize]event
	n, next  int
	now      time.Time
	busyAt   time.Time // since when the leader has not waited
	yielded  time.Time // when it last let others of its core run
	conns    []*Conn   // by slot
	free     []uint32
	fresh    []*Conn // accepted, not yet read
	live     int
	sockets  []*socket
	lastGen  uint32
	wheel    wheel
	timerAt  int64 // what timer is armed for; 0: not
	draining bool
	retiring bool // some service leaves
	// drainNext is the first slot whose connection was not told of the drain.
	drainNext int
	ended     bool

	standby    standby
	watchdog   watchdog
	inbox      inbox
	spares     spares
	coroutines coroutines
	nobody     *Conn       // whose handler a task of Go is
	timer      *time.Timer // rings the gate when the wheel is due while the leader waits
	wg         sync.WaitGroup
	stopped    chan struct{} // closed when the last leader has gone
}

// lastID numbers the shards of the process. It is no state but an identity: what
// keeps connections by shard needs one that no two servers share.
var lastID atomic.Int64

// ID is a number that no other shard of the process has, from 1 on.
func (sh *Shard) ID() int { return sh.id }

// New makes a shard that serves nothing yet.
func New(cfg Config) (*Shard, error) {
	if cfg.WriteIdleTimeout == 0 {
		cfg.WriteIdleTimeout = defaultWriteIdleTimeout
	}
	if cfg.WriteMinRate == 0 {
		cfg.WriteMinRate = defaultWriteMinRate
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	poll, err := newPoller()
	if err != nil {
		return nil, err
	}
	sh := &Shard{
		id: int(lastID.Add(1)), cfg: cfg, poll: poll, procs: runtime.GOMAXPROCS(0), base: time.Now(),
		spare: listener.NewSpare(), stopped: make(chan struct{}),
	}
	if err := sh.standby.init(); err != nil {
		poll.close()
		sh.spare.Close()
		return nil, err
	}
	sh.nobody = &Conn{sh: sh, drv: idleDriver{}, busy: true}
	sh.nobody.registered.Store(true)
	sh.watchdog.wake = make(chan struct{}, 1)
	sh.timer = time.AfterFunc(time.Hour, sh.poll.wake)
	sh.timer.Stop()
	return sh, nil
}

// Start runs the shard's goroutines: a leader, a standby, the watchdog.
func (sh *Shard) Start() {
	sh.setNow()
	sh.busyAt = sh.now
	sh.wheel.done = sh.ticks(sh.now) / wheelTick
	sh.spawn(sh.lead)
	sh.wg.Go(sh.runStandby)
	sh.wg.Go(sh.runWatchdog)
}

// AddSocket lets the shard accept from s for svc. It may be called before
// Start and at any time after.
func (sh *Shard) AddSocket(s *listener.Socket, svc *Service) error {
	errc := make(chan error, 1)
	if !sh.Do(func(time.Time) { errc <- sh.listen(s, svc) }) {
		return net.ErrClosed
	}
	return <-errc
}

// Do runs f on the leader between two batches; f must not block. False: the
// shard has ended and f will not run.
func (sh *Shard) Do(f func(now time.Time)) bool { return sh.inbox.push(sh, message{do: f}) }

// Drain tells every connection, and every later one, that the server stops.
func (sh *Shard) Drain() {
	sh.counters.Draining.Store(true)
	sh.Do(func(time.Time) {
		if !sh.draining {
			sh.draining, sh.drainNext = true, 0
			sh.reportEmpty()
		}
	})
}

// Retire tells every connection of svc, and every later one, to end as a drain
// does; those of other services go on. Leave takes its sockets.
func (sh *Shard) Retire(svc *Service) {
	svc.leaving.Store(true)
	sh.Do(func(time.Time) {
		sh.retiring, sh.drainNext = true, 0
		sh.reportGone(svc)
	})
}

// CutService is Cut for the connections of one service.
func (sh *Shard) CutService(svc *Service, report func(cut int)) {
	if !sh.Do(func(time.Time) { report(sh.cutAll(svc)) }) {
		report(0)
	}
}

// Live counts connections without those that were hijacked. Any goroutine.
func (sh *Shard) Live() int64 { return sh.counters.Open.Load() }

// Cut ends every connection at once, also under running handlers, and tells
// through report how many there were.
func (sh *Shard) Cut(report func(cut int)) {
	if !sh.Do(func(time.Time) { report(sh.cutAll(nil)) }) {
		report(0)
	}
}

// Stop ends the shard once its last connection has gone: call Cut first to
// hasten that. It does not wait for handlers that never return; Stopped does,
// but for those of shared connections, which end before their handlers.
func (sh *Shard) Stop() { sh.Do(func(time.Time) { sh.ended = true }) }

// Stopped is closed when the leader has gone and descriptors are closed.
func (sh *Shard) Stopped() <-chan struct{} { return sh.stopped }

// spawn runs f on a kept goroutine, or a new one.
func (sh *Shard) spawn(f func()) { sh.spares.run(sh, f) }

// setNow reads the clock, once a batch. Leader only.
func (sh *Shard) setNow() {
	sh.now = time.Now()
	sh.wall.Store(sh.now.UnixNano())
}

// ticks is the time since the shard's zero. Durations are monotonic, so a wall
// clock that jumps moves no deadline (rule O-5).
func (sh *Shard) ticks(t time.Time) int64 { return int64(t.Sub(sh.base)) }

// reportGone tells the owner that a service that leaves has no connection left.
func (sh *Shard) reportGone(svc *Service) {
	if svc.leaving.Load() && svc.open.Load() == 0 && sh.cfg.Empty != nil {
		sh.cfg.Empty()
	}
}

// reportEmpty tells the owner that a draining shard has no connection left.
func (sh *Shard) reportEmpty() {
	if sh.draining && sh.live == 0 && sh.cfg.Empty != nil {
		sh.cfg.Empty()
	}
}
