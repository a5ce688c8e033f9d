package handler

import (
	"errors"
	"hash/maphash"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

const (
	// defaultMaxClients bounds the table: 48 bytes a client, 3 MiB.
	defaultMaxClients = 1 << 16
	// rateShards keep cores from waiting for one another.
	rateShards = 64
	// clientPrefix6 is the part of an IPv6 address that a client cannot choose.
	clientPrefix6 = 64
	// preparedSeconds are the values of Retry-After that are made beforehand.
	preparedSeconds = 60
)

// RateLimitOptions shapes RateLimit. Rate must be given.
type RateLimitOptions struct {
	// Rate is how many requests a client has in a second.
	Rate float64
	// Burst is how many it has at once after a pause. If zero, Rate, and 1 at least.
	Burst int
	// MaxClients bounds the table; each client costs about 48 bytes. Beyond it the
	// one that was quiet for the longest time is forgotten, and begins anew. If
	// zero, 65536.
	MaxClients int
	// Key names the client of a request. If nil, its address, of IPv6 the /64.
	// Behind a proxy that is the proxy: set Key there.
	Key func(r *http.Request) string
	// ExemptLoopback serves clients of this host without a limit.
	ExemptLoopback bool
	// Refused, if set, is called with each refusal, from any goroutine.
	Refused func(info Info)
}

// RateLimit gives each client a token bucket, and answers 429 with the time until
// the next token when it is empty. Exempt requests (Info.Exempt) take none. It has
// no goroutine and no timer: a bucket is one number, the time at which it is full
// again.
type RateLimit struct {
	base     time.Time
	interval int64 // ns of a token
	depth    int64 // ns of a whole bucket
	key      func(r *http.Request) string
	loopback bool
	seed     maphash.Seed
	refused  func(Info)
	empty    *refusal
	seconds  [preparedSeconds + 1][]string
	shards   [rateShards]rateShard
}

// NewRateLimit makes the stage.
func NewRateLimit(opts RateLimitOptions) (*RateLimit, error) {
	if !(opts.Rate > 0) || math.IsInf(opts.Rate, 0) || opts.Burst < 0 || opts.MaxClients < 0 {
		return nil, errors.New("rate limit: the rate must be positive, burst and clients not negative")
	}
	interval := max(1, float64(time.Second)/opts.Rate)
	if opts.Burst == 0 {
		opts.Burst = int(min(max(1, opts.Rate), 1<<30))
	}
	if opts.MaxClients == 0 {
		opts.MaxClients = defaultMaxClients
	}
	if interval*float64(opts.Burst) > math.MaxInt64/4 {
		return nil, errors.New("rate limit: a bucket takes longer than 70 years to fill")
	}
	l := &RateLimit{
		base: time.Now(), interval: int64(interval), depth: int64(interval) * int64(opts.Burst),
		key: opts.Key, loopback: opts.ExemptLoopback, seed: maphash.MakeSeed(), refused: opts.Refused,
		empty: tooManyRequests(nil),
	}
	for i := range l.seconds {
		l.seconds[i] = []string{strconv.Itoa(i)}
	}
	for i := range l.shards {
		l.shards[i].limit = max(1, (opts.MaxClients+rateShards-1)/rateShards)
	}
	return l, nil
}

// Begin takes a token for x.
func (l *RateLimit) Begin(x *Exchange) bool {
	if x.Info.Exempt {
		return true
	}
	key, limited := l.client(x.Request)
	if !limited {
		return true
	}
	wait := l.shards[key%rateShards].take(key, int64(x.Received.Sub(l.base)), l.interval, l.depth)
	if wait <= 0 {
		return true
	}
	if l.refused != nil {
		l.refused(x.Info)
	}
	l.empty.write(x.Writer(), formOf(x.Request), l.retry(time.Duration(wait)))
	return false
}

func (l *RateLimit) retry(wait time.Duration) []string {
	s := wholeSeconds(wait)
	if s <= preparedSeconds {
		return l.seconds[s]
	}
	return []string{strconv.FormatInt(s, 10)}
}

// client is a hash of the client's name: the table keeps none of its bytes, and
// with a random seed nobody can look for one that is equal to another's. False:
// it has no limit.
func (l *RateLimit) client(r *http.Request) (key uint64, limited bool) {
	if l.key != nil {
		return maphash.String(l.seed, l.key(r)), true
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil { // of a Unix socket, say: all are one client
		return maphash.String(l.seed, r.RemoteAddr), true
	}
	addr := peer.Addr().Unmap()
	if l.loopback && addr.IsLoopback() {
		return 0, false
	}
	b := addr.As16()
	if addr.Is6() {
		clear(b[clientPrefix6/8:])
	}
	return maphash.Bytes(l.seed, b[:]), true
}

// rateShard is a part of the buckets, in a list by their last use.
type rateShard struct {
	// mu guards the following.
	mu             sync.Mutex
	index          map[uint64]int32
	buckets        []bucket
	newest, oldest int32

	limit int // immutable
	_     [64]byte
}

// bucket is a client's: full is when it will be full again, in ns since the base
// (the generic cell rate algorithm, by virtual scheduling).
type bucket struct {
	key          uint64
	full         int64
	newer, older int32
}

// take takes a token at the time now; if there is none it tells how long to wait.
func (s *rateShard) take(key uint64, now, interval, depth int64) (wait int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.find(key, now)
	full := max(b.full, now) + interval
	if wait = full - now - depth; wait > 0 {
		return wait
	}
	b.full = full
	return 0
}

// find is the bucket of key, which is now the newest.
func (s *rateShard) find(key uint64, now int64) *bucket {
	at, ok := s.index[key]
	switch {
	case ok && at == s.newest:
		return &s.buckets[at]
	case ok:
		s.unlink(at)
	case len(s.buckets) < s.limit:
		if s.index == nil {
			s.index = make(map[uint64]int32)
		}
		at = int32(len(s.buckets))
		s.buckets = append(s.buckets, bucket{})
	default:
		at = s.oldest
		s.unlink(at)
		delete(s.index, s.buckets[at].key)
	}
	b := &s.buckets[at]
	if !ok {
		b.key, b.full = key, now
		s.index[key] = at
	}
	s.pushNewest(at)
	return b
}

func (s *rateShard) unlink(at int32) {
	b := &s.buckets[at]
	if at == s.newest {
		s.newest = b.older
	} else {
		s.buckets[b.newer].older = b.older
	}
	if at == s.oldest {
		s.oldest = b.newer
	} else {
		s.buckets[b.older].newer = b.newer
	}
}

// pushNewest links a bucket that is in no list. The only one has itself on neither
// side: the ends' own links are not looked at.
func (s *rateShard) pushNewest(at int32) {
	if len(s.index) == 1 {
		s.newest, s.oldest = at, at
		return
	}
	s.buckets[at].older = s.newest
	s.buckets[s.newest].newer = at
	s.newest = at
}
