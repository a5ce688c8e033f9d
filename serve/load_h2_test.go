package serve_test

import (
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// The HTTP/2 load of the benchmarks: frames are written and read by hand, field
// blocks beforehand, so that the client's core is not the limit. Each
// connection has a goroutine that reads. There are two forms:
//
//   - closed loop: Streams at one time on each connection, the next when one ends;
//   - open loop: Rate, by one goroutine that keeps the schedule whatever the
//     server does. Latency counts from the schedule, so a server that stalls
//     finds the requests of its stall in the figures (no coordinated omission).
//
// In the open loop each connection asks once in burstEvery for what is due by
// then, in one write, and the connections one after another.

const (
	burstEvery = 4 * time.Millisecond
	// loadWindow is what the server may send ahead, as a browser's.
	loadWindow = 16 << 20
	// loadSocket is the client's receive buffer: with the system's, which grows to
	// megabytes, what is measured beside a download is the queue in it.
	loadSocket = 256 << 10
	// loadRing is how many later streams may open while one is open.
	loadRing = 1 << 13
)

// Paths of the handler: h2Handler in bench_h2_test.go.
const (
	pathFast = "/fast"
	pathSlow = "/slow"
	pathBulk = "/bulk"
)

// h2Load is one round.
type h2Load struct {
	Addr      string
	TLS       bool
	Conns     int
	Streams   int     // closed loop
	Rate      float64 // open loop: requests a second in sum; zero: closed
	SlowEvery int     // one request of so many, at random, asks for pathSlow; zero: none
	Bulk      bool    // beside, an endless download on each connection
	Duration  time.Duration
}

// h2Result is what came of it.
type h2Result struct {
	Answered   int     // in sum
	Rate       float64 // answers a second within Duration
	Fast, Slow h2Class
	Late       time.Duration // p99 of how late the open loop was with its own bursts
	BulkBytes  float64       // a second
	Bad        string        // a round with a failure is void
}

// h2Class are the latencies of the requests for one path.
type h2Class struct {
	Answered       int
	P50, P99, P999 time.Duration
}

// loadH2 is the round. text is what the child's parent wrote: an h2Load.
func (spec childSpec) loadH2(text string) string {
	var l h2Load
	var r h2Result
	err := json.Unmarshal([]byte(text), &l)
	if err == nil {
		r, err = l.run()
	}
	if err != nil {
		r.Bad = err.Error()
	}
	answer, _ := json.Marshal(r)
	return string(answer)
}

func (l h2Load) run() (r h2Result, err error) {
	conns := make([]*loadConn, l.Conns)
	for i := range conns {
		if conns[i], err = dialLoad(l.Addr, "", l.TLS, 256<<10); err != nil {
			return r, err
		}
		defer conns[i].conn.Close()
		// One request before the clock: also the server's SETTINGS have come then.
		if err = conns[i].exchange(); err != nil {
			return r, err
		}
	}
	base := time.Now()
	errs := make([]error, l.Conns)
	var readers sync.WaitGroup
	for i, c := range conns {
		c.begin(l, base, uint64(i))
		readers.Go(func() { errs[i] = c.serve() })
	}
	if l.Rate > 0 {
		r.Late = l.pace(conns, base)
	}
	readers.Wait()
	return l.sum(r, conns), errors.Join(errs...)
}

// pace keeps the open loop's schedule.
func (l h2Load) pace(conns []*loadConn, base time.Time) (late time.Duration) {
	// The thread that sleeps here must not take the readers' place.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	step := burstEvery / time.Duration(len(conns))
	burst := l.Rate * burstEvery.Seconds() / float64(len(conns))
	lates := make([]time.Duration, 0, l.Duration/step+1)
	for i := range int(l.Duration / step) {
		due := time.Duration(i) * step
		sleepExactly(due - time.Since(base))
		lates = append(lates, time.Since(base)-due)
		conns[i%len(conns)].add(burst, due)
	}
	for _, c := range conns {
		c.finish()
	}
	slices.Sort(lates)
	return percentile(lates, 99)
}

// sum puts the connections' figures together.
func (l h2Load) sum(r h2Result, conns []*loadConn) h2Result {
	var fast, slow []time.Duration
	var inTime, bulk int
	for _, c := range conns {
		fast, slow = append(fast, c.fast...), append(slow, c.slow...)
		inTime += c.inTime
		bulk += c.bulkBytes
	}
	r.Fast, r.Slow = newH2Class(fast), newH2Class(slow)
	r.Answered = len(fast) + len(slow)
	r.Rate = float64(inTime) / l.Duration.Seconds()
	r.BulkBytes = float64(bulk) / l.Duration.Seconds()
	return r
}

func newH2Class(v []time.Duration) h2Class {
	slices.Sort(v)
	return h2Class{len(v), percentile(v, 50), percentile(v, 99), percentile(v, 99.9)}
}

// percentile is the nearest rank of sorted values; zero if there are none.
func percentile(v []time.Duration, p float64) time.Duration {
	if len(v) == 0 {
		return 0
	}
	return v[min(max(int(math.Ceil(p/100*float64(len(v))))-1, 0), len(v)-1)]
}

// loadConn is a connection of the load.
type loadConn struct {
	conn net.Conn
	in   []byte // room of the reader
	have int    // bytes of in

	load   h2Load
	base   time.Time
	random *rand.Rand

	// mu guards the following: the reader and the pacer write.
	mu        sync.Mutex
	out       []byte
	next      uint32        // stream
	open      int           // streams, without the download
	limit     int           // of the server
	due       []loadRequest // above the limit
	share     float64       // of a request, left over by the last burst
	streams   []loadStream  // a ring
	bulk      uint32        // its stream, not in the ring; zero: none
	bulkSeen  int           // bytes not yet given back
	seen      int           // of the connection, not yet given back
	finishing bool          // nothing new begins

	fast, slow []time.Duration
	inTime     int
	bulkBytes  int
}

// loadRequest is one that has not begun.
type loadRequest struct {
	due  time.Duration
	path string
}

// loadStream is one that has. got is of the body.
type loadStream struct {
	id   uint32
	due  time.Duration
	got  int
	slow bool
	head bool
}

// dialLoad connects from the local address, if one is named, and says hello.
func dialLoad(addr, local string, secure bool, room int) (*loadConn, error) {
	d := net.Dialer{Timeout: patience}
	if local != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(local)}
	}
	conn, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	conn.(*net.TCPConn).SetReadBuffer(loadSocket)
	conn.(*net.TCPConn).SetLinger(0) // leaves no port waiting for the next case
	// A lost wake-up shows as an error, not as a wait for the server's idle timer.
	conn.SetDeadline(time.Now().Add(time.Minute))
	c := &loadConn{conn: conn, in: make([]byte, room), next: 1, limit: 100, streams: make([]loadStream, 1)}
	if secure {
		tc := tls.Client(conn, benchClientTLSH2)
		c.conn, c.load.TLS = tc, true
		if err := tc.Handshake(); err != nil {
			conn.Close()
			return nil, err
		}
		if p := tc.ConnectionState().NegotiatedProtocol; p != "h2" {
			conn.Close()
			return nil, fmt.Errorf("ALPN %q, want h2", p)
		}
	}
	c.out = append(c.out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"...)
	c.frame(frameSettings, 0, 0, []byte{0, 4, loadWindow >> 24, loadWindow >> 16 & 0xff, loadWindow >> 8 & 0xff, loadWindow & 0xff}) // INITIAL_WINDOW_SIZE
	c.update(0, loadWindow-65535)
	return c, nil
}

var benchClientTLSH2 = &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}

// exchange is one request and its answer, with nothing else beside.
func (c *loadConn) exchange() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.request(loadRequest{path: pathFast})
	for c.open > 0 {
		if err := c.step(); err != nil {
			return err
		}
	}
	c.fast = c.fast[:0]
	return c.flush()
}

// begin starts the round: in the closed loop with all its streams.
func (c *loadConn) begin(l h2Load, base time.Time, seed uint64) {
	c.load, c.base, c.random = l, base, rand.New(rand.NewPCG(seed, 1))
	c.streams = make([]loadStream, loadRing)
	c.share = c.random.Float64() // or all connections would send in the same bursts
	c.inTime = 0
	c.fast = make([]time.Duration, 0, 1<<16)
	if l.Bulk {
		c.bulk = c.headers(pathBulk)
	}
	c.topUp(0)
}

// serve reads until the round is over.
func (c *loadConn) serve() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if c.load.Rate == 0 && time.Since(c.base) >= c.load.Duration {
			c.finishing = true
		}
		if c.finishing && c.open == 0 && len(c.due) == 0 {
			return nil
		}
		if err := c.step(); err != nil {
			return fmt.Errorf("%d streams open: %w", c.open, err)
		}
	}
}

// step sends what was gathered, reads once, and takes the frames that came.
// mu is held, but not while it reads.
func (c *loadConn) step() error {
	if err := c.flush(); err != nil {
		return err
	}
	c.mu.Unlock()
	n, err := c.conn.Read(c.in[c.have:])
	c.mu.Lock()
	c.have += n
	if n == 0 {
		return fmt.Errorf("read: %w", err)
	}
	used, err := c.take(c.in[:c.have], time.Since(c.base))
	c.have = copy(c.in, c.in[used:c.have])
	if err == nil && c.have == len(c.in) {
		err = errors.New("a frame above the limit")
	}
	return err
}

// add is a burst of the open loop: what is due now, or waits since.
func (c *loadConn) add(burst float64, due time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.share += burst; c.share >= 1; c.share-- {
		c.due = append(c.due, c.draw(due))
	}
	c.topUp(due)
	c.flush() // an error is the reader's too
}

// draw chooses the path.
func (c *loadConn) draw(due time.Duration) loadRequest {
	if c.load.SlowEvery > 0 && c.random.IntN(c.load.SlowEvery) == 0 {
		return loadRequest{due, pathSlow}
	}
	return loadRequest{due, pathFast}
}

// finish ends the open loop. The PING's answer wakes the reader.
func (c *loadConn) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.finishing = true
	if c.bulk != 0 {
		c.frame(frameReset, 0, c.bulk, []byte{0, 0, 0, 8}) // CANCEL
		c.bulk = 0
	}
	c.frame(framePing, 0, 0, make([]byte, 8))
	c.flush()
}

// topUp begins what may begin now.
func (c *loadConn) topUp(now time.Duration) {
	if c.load.Rate == 0 {
		for !c.finishing && now < c.load.Duration && c.open < c.load.Streams && c.mayOpen() {
			c.request(c.draw(now))
		}
		return
	}
	begun := 0
	for begun < len(c.due) && c.mayOpen() {
		c.request(c.due[begun])
		begun++
	}
	c.due = c.due[:copy(c.due, c.due[begun:])]
}

// mayOpen tells whether the server's limit has room.
func (c *loadConn) mayOpen() bool {
	if c.bulk != 0 {
		return c.open+1 < c.limit
	}
	return c.open < c.limit
}

// request begins a stream.
func (c *loadConn) request(q loadRequest) {
	for c.stream(c.next).id != 0 { // as old as the ring is long: leave its place out
		c.next += 2
	}
	id := c.headers(q.path)
	*c.stream(id) = loadStream{id: id, due: q.due, slow: q.path == pathSlow}
	c.open++
}

func (c *loadConn) stream(id uint32) *loadStream { return &c.streams[id/2%loadRing] }

// headers appends a GET on the next stream (RFC 7541 §6): indexed fields, and
// literals that do not enter the table.
func (c *loadConn) headers(path string) (id uint32) {
	block := append(make([]byte, 0, 32), 0x82, 0x86, 0x04, byte(len(path))) // :method GET, :scheme http, :path
	if c.load.TLS {
		block[1] = 0x87 // https
	}
	block = append(append(block, path...), "\x01\x09localhost"...) // :authority
	id = c.next
	c.next += 2
	c.frame(frameHeaders, flagEndStream|flagEndHeaders, id, block)
	return id
}

func (c *loadConn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	return err
}

// Frame types and flags (RFC 9113 §6).
const (
	frameData, frameHeaders, frameReset, frameSettings = 0, 1, 3, 4
	framePing, frameGoAway, frameUpdate                = 6, 7, 8

	flagEndStream, flagAck, flagEndHeaders, flagPadded = 1, 1, 4, 8
)

func (c *loadConn) frame(kind, flags byte, id uint32, payload []byte) {
	n := len(payload)
	c.out = append(c.out, byte(n>>16), byte(n>>8), byte(n), kind, flags)
	c.out = binary.BigEndian.AppendUint32(c.out, id)
	c.out = append(c.out, payload...)
}

func (c *loadConn) update(id uint32, n int) {
	c.frame(frameUpdate, 0, id, binary.BigEndian.AppendUint32(nil, uint32(n)))
}

// take takes the whole frames of b.
func (c *loadConn) take(b []byte, now time.Duration) (used int, err error) {
	for len(b)-used >= 9 {
		f := b[used:]
		n := int(f[0])<<16 | int(f[1])<<8 | int(f[2])
		if len(f) < 9+n {
			break
		}
		used += 9 + n
		if err := c.takeFrame(f[3], f[4], binary.BigEndian.Uint32(f[5:]), f[9:9+n], now); err != nil {
			return used, err
		}
	}
	c.topUp(now)
	return used, nil
}

func (c *loadConn) takeFrame(kind, flags byte, id uint32, p []byte, now time.Duration) error {
	switch kind {
	case frameData, frameHeaders:
		return c.takeAnswer(kind, flags, id, p, now)
	case frameSettings:
		if flags&flagAck != 0 {
			return nil
		}
		for ; len(p) >= 6; p = p[6:] {
			if binary.BigEndian.Uint16(p) == 3 { // MAX_CONCURRENT_STREAMS
				c.limit = int(binary.BigEndian.Uint32(p[2:]))
			}
		}
		c.frame(frameSettings, flagAck, 0, nil)
	case framePing:
		if flags&flagAck == 0 {
			c.frame(framePing, flagAck, 0, p)
		}
	case frameReset, frameGoAway:
		return fmt.Errorf("frame of type %d on stream %d: %x", kind, id, p[:min(len(p), 64)])
	}
	return nil
}

// takeAnswer checks a part of an answer: 200, and the right body.
func (c *loadConn) takeAnswer(kind, flags byte, id uint32, p []byte, now time.Duration) error {
	if kind == frameData {
		if c.seen += len(p); c.seen > loadWindow/2 {
			c.update(0, c.seen)
			c.seen = 0
		}
	}
	s := c.stream(id)
	switch {
	case flags&flagPadded != 0:
		return errors.New("padding: not expected here")
	case id == c.bulk && kind == frameData:
		return c.takeBulk(p, now)
	case id == c.bulk:
		return nil
	case s.id != id:
		if c.finishing {
			return nil // of the download that was cancelled
		}
		return fmt.Errorf("frame on stream %d, which is not open", id)
	case kind == frameHeaders:
		for len(p) > 0 && p[0]&0xe0 == 0x20 { // RFC 7541 §6.3: table size
			p = p[1:]
		}
		if s.head || flags&flagEndHeaders == 0 || len(p) == 0 || p[0] != 0x88 { // :status 200
			return fmt.Errorf("not the head of a 200: flags %x, %x", flags, p[:min(len(p), 64)])
		}
		s.head = true
	case !s.head || !strings.HasPrefix(benchBody[s.got:], string(p)): // no allocation
		return fmt.Errorf("wrong body after %d bytes: %q", s.got, p[:min(len(p), 64)])
	default:
		s.got += len(p)
	}
	if flags&flagEndStream != 0 {
		return c.answered(s, now)
	}
	return nil
}

func (c *loadConn) takeBulk(p []byte, now time.Duration) error {
	if len(p) == 0 || p[0] != bulkByte || p[len(p)-1] != bulkByte {
		return fmt.Errorf("wrong bytes of the download: %q", p[:min(len(p), 64)])
	}
	if now < c.load.Duration {
		c.bulkBytes += len(p)
	}
	if c.bulkSeen += len(p); c.bulkSeen > loadWindow/2 {
		c.update(c.bulk, c.bulkSeen)
		c.bulkSeen = 0
	}
	return nil
}

// answered ends a stream.
func (c *loadConn) answered(s *loadStream, now time.Duration) error {
	if s.got != len(benchBody) {
		return fmt.Errorf("a body of %d bytes, want %d", s.got, len(benchBody))
	}
	if s.slow {
		c.slow = append(c.slow, now-s.due)
	} else {
		c.fast = append(c.fast, now-s.due)
	}
	if now < c.load.Duration {
		c.inTime++
	}
	s.id = 0
	c.open--
	return nil
}
