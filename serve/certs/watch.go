package certs

import (
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// watchRecheck is how often all files are looked at though nothing was
	// noticed: network file systems notice nothing.
	watchRecheck = time.Minute
	// watchPoll is the same where the system gives no notices at all: a new
	// certificate is to be served within 4 s.
	watchPoll = 2 * time.Second
	// watchSettle is how long a folder must be quiet before its files are read, so
	// that a pair is read once and not at each write; watchSettleMost ends that
	// wait where it is never quiet.
	watchSettle     = 50 * time.Millisecond
	watchSettleMost = 500 * time.Millisecond
	// A file that could not be used is read again at a growing interval.
	watchRetryFirst = 250 * time.Millisecond
	watchRetryMost  = 30 * time.Second
	// watchRounds bounds how often links that change while files are read are
	// followed anew; the recheck comes behind.
	watchRounds = 4
)

// WatcherOptions tune a Watcher.
type WatcherOptions struct {
	// Recheck is how often all files are read though nothing was noticed. If zero,
	// one minute. If negative, never.
	Recheck time.Duration
	// Log is told, once for each change, of files that cannot be used. If nil,
	// slog.Default().
	Log *slog.Logger
}

// Watcher notices changes of files, for all who read files in a process. It
// watches folders, so that a file may be rewritten, renamed over, removed and
// made again, or reached by links that change (certbot, Kubernetes).
type Watcher struct {
	// Immutable after NewWatcher.
	recheck time.Duration
	log     *slog.Logger
	notify  *fsnotify.Watcher // nil: the system gives no notices
	poke    chan struct{}
	quit    chan struct{}
	once    sync.Once
	done    sync.WaitGroup

	// mu guards the following, and is held while files are read.
	mu       sync.Mutex
	watches  map[*Watch]struct{}
	interest map[string][]*Watch // by each path whose change matters
	folders  map[string]int      // watched by notify: how many watches need each
	blind    bool                // not all folders can be watched
	told     bool                // so
}

// Watch is one reader of files.
type Watch struct {
	w      *Watcher
	name   string
	files  []string
	reload func() error

	// The Watcher's mu guards the following.
	dirty   bool
	trail   []string // of all files: see trailOf
	folders []string // in which these paths stand
	failure string   // that was logged last; empty: all is well
	wait    time.Duration
	retryAt time.Time // zero: no retry
}

// NewWatcher starts a watcher; Close ends it. Without help of the system it
// reads files every two seconds.
func NewWatcher(o WatcherOptions) *Watcher {
	notify, err := fsnotify.NewWatcher()
	return newWatcher(o, notify, err)
}

// newWatcher has no notify if err is not nil.
func newWatcher(o WatcherOptions, notify *fsnotify.Watcher, err error) *Watcher {
	w := &Watcher{
		notify:  notify,
		recheck: o.Recheck, log: o.Log, poke: make(chan struct{}, 1), quit: make(chan struct{}),
		watches: map[*Watch]struct{}{}, interest: map[string][]*Watch{}, folders: map[string]int{},
	}
	if w.recheck == 0 {
		w.recheck = watchRecheck
	}
	if w.log == nil {
		w.log = slog.Default()
	}
	if err != nil {
		w.notify = nil
		w.goBlind(err)
	}
	w.done.Go(w.run)
	return w
}

// Watch calls reload on a goroutine of the Watcher's whenever a file may have
// changed, from now until Stop: also when nothing has, so reload compares. An
// error of reload is logged, and has it called again. reload must not call the
// Watcher. name says in the log what the files are.
func (w *Watcher) Watch(name string, files []string, reload func() error) *Watch {
	x := &Watch{w: w, name: name, files: slices.Clone(files), reload: reload, dirty: true}
	w.mu.Lock()
	w.watches[x] = struct{}{}
	w.follow(x)
	w.mu.Unlock()
	w.Recheck() // what has changed since the caller has read the files
	return x
}

// Stop ends the calls of reload; none runs when it returns. It may be called more
// than once.
func (x *Watch) Stop() {
	x.w.mu.Lock()
	defer x.w.mu.Unlock()
	if _, ok := x.w.watches[x]; ok {
		delete(x.w.watches, x)
		x.w.leave(x)
	}
}

// Recheck has all files read soon, for a signal: calls that come faster than
// files are read count as one.
func (w *Watcher) Recheck() {
	select {
	case w.poke <- struct{}{}:
	default:
	}
}

// Close ends the watching; no reload runs when it returns. It may be called
// more than once.
func (w *Watcher) Close() error {
	w.once.Do(func() { close(w.quit) })
	w.done.Wait()
	return nil
}

func (w *Watcher) run() {
	var events <-chan fsnotify.Event
	var failed <-chan error
	if w.notify != nil {
		defer w.notify.Close()
		events, failed = w.notify.Events, w.notify.Errors
	}
	lookedAt := time.Now()
	timer := time.NewTimer(w.next(lookedAt))
	defer timer.Stop()
	for {
		all := false
		select {
		case <-w.quit:
			return
		case <-w.poke:
			all = true
		case <-failed: // notices were lost
			all = true
		case e := <-events:
			if !w.mark(e) {
				continue
			}
			w.settle(events)
		case <-timer.C:
		}
		now := time.Now()
		if due := w.period(); due > 0 && now.Sub(lookedAt) >= due {
			all = true
		}
		if all {
			lookedAt = now
		}
		w.check(now, all)
		timer.Reset(w.next(lookedAt))
	}
}

// mark makes the watches that an event may concern dirty; false: none.
func (w *Watcher) mark(e fsnotify.Event) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	touched := w.interest[filepath.Clean(e.Name)]
	for _, x := range touched {
		x.dirty = true
	}
	return len(touched) > 0
}

// settle waits until nothing of interest happens.
func (w *Watcher) settle(events <-chan fsnotify.Event) {
	most := time.NewTimer(watchSettleMost)
	defer most.Stop()
	quiet := time.NewTimer(watchSettle)
	defer quiet.Stop()
	for {
		select {
		case e := <-events:
			if w.mark(e) {
				quiet.Reset(watchSettle)
			}
		case <-quiet.C:
			return
		case <-most.C:
			return
		case <-w.quit:
			return
		}
	}
}

// period is how often all files are read; 0: never.
func (w *Watcher) period() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.recheck < 0:
		return 0
	case w.blind:
		return min(watchPoll, w.recheck)
	}
	return w.recheck
}

// next is how long there is nothing to do without a notice.
func (w *Watcher) next(lookedAt time.Time) time.Duration {
	const idle = time.Hour
	now := time.Now()
	d := idle
	if p := w.period(); p > 0 {
		d = min(d, lookedAt.Add(p).Sub(now))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for x := range w.watches {
		if !x.retryAt.IsZero() {
			d = min(d, x.retryAt.Sub(now))
		}
	}
	return max(d, 0)
}

// check reads what is dirty, due or, if so said, all. Folders are watched before
// their files are read, so that no change falls between.
func (w *Watcher) check(now time.Time, all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if all {
		w.renewFolders()
	}
	var read []*Watch
	for x := range w.watches {
		if all || x.dirty || !x.retryAt.IsZero() && !now.Before(x.retryAt) {
			read = append(read, x)
			w.follow(x)
		}
	}
	for range watchRounds {
		moved := read[:0]
		for _, x := range read {
			x.dirty = false
			x.read(now)
			if w.follow(x) {
				moved = append(moved, x)
			}
		}
		read = moved
	}
}

// read calls reload, and plans the next call if it fails.
func (x *Watch) read(now time.Time) {
	err := x.reload()
	if err == nil {
		x.failure, x.wait, x.retryAt = "", 0, time.Time{}
		return
	}
	x.wait = min(max(2*x.wait, watchRetryFirst), watchRetryMost)
	x.retryAt = now.Add(x.wait)
	if text := err.Error(); text != x.failure {
		x.failure = text
		x.w.log.Warn("cannot reload "+x.name+", what was loaded before stays in use", slog.String("err", text))
	}
}
