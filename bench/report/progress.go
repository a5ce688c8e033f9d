package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/penstock-edge/penstock/bench"
)

const (
	redrawEvery = 200 * time.Millisecond
	plainEvery  = 5 * time.Second
	leastWidth  = 40
)

// ProgressOptions shape a Progress.
type ProgressOptions struct {
	// Terminal draws one line over and over; else there is a line every five
	// seconds.
	Terminal bool
	// Width of the terminal in columns. If zero, 80.
	Width int
	// Duration, Requests and Warmup are those of the run. Without both of the former
	// nothing tells how much is left.
	Duration time.Duration
	Requests int64
	Warmup   time.Duration
	// Prefix begins each line.
	Prefix string
}

// Progress shows how a run goes. Point may be called by any goroutine.
type Progress struct {
	w    io.Writer
	o    ProgressOptions
	stop chan struct{}
	done chan struct{}

	mu        sync.Mutex    // guards the following and w
	recent    []bench.Point // of about a second, the last at the end
	seen      time.Time     // when the last was told
	completed int64
	failed    int64
	told      time.Duration // of the run, when a plain line was last written
	drawn     bool
}

// StartProgress shows a run on w until Stop.
func StartProgress(w io.Writer, o ProgressOptions) *Progress {
	if o.Width == 0 {
		o.Width = 80
	}
	p := &Progress{w: w, o: o, stop: make(chan struct{}), done: make(chan struct{})}
	go p.redraw()
	return p
}

// Point tells of an interval, as bench.Options.Progress.
func (p *Progress) Point(pt bench.Point) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.recent, p.seen = recently(append(p.recent, pt)), time.Now()
	if pt.At > 0 {
		p.completed += pt.Completed
		p.failed += pt.Failed
	}
	at := time.Duration(pt.At * float64(time.Second))
	if !p.o.Terminal && at > 0 && at-p.told >= plainEvery-plainEvery/10 {
		p.told = at
		_, _ = fmt.Fprintln(p.w, p.line(at, 0)) // whoever closed it wants no progress
	}
}

// recently leaves the last points, of a second or one that is longer.
func recently(points []bench.Point) []bench.Point {
	sum := 0.
	for i, pt := range slices.Backward(points) {
		sum += pt.Seconds
		if sum >= .95 {
			return points[i:]
		}
	}
	return points
}

// Stop ends it, and takes the line away from a terminal. It may be called once.
func (p *Progress) Stop() {
	close(p.stop)
	<-p.done
	if p.drawn {
		_, _ = io.WriteString(p.w, "\r\x1b[K")
	}
}

func (p *Progress) redraw() {
	defer close(p.done)
	if !p.o.Terminal {
		<-p.stop
		return
	}
	tick := time.NewTicker(redrawEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
			p.draw()
		}
	}
}

func (p *Progress) draw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := p.o.Prefix + "connecting"
	if !p.seen.IsZero() {
		// Between two points the clock goes on, so that the bar does not jump.
		last := p.recent[len(p.recent)-1]
		since := min(time.Since(p.seen), 2*secondsOf(max(last.Seconds, .1)))
		line = p.line(time.Duration(last.At*float64(time.Second))+since, p.o.Width-1)
	}
	p.drawn = true
	_, _ = io.WriteString(p.w, "\r\x1b[K"+fit(line, max(p.o.Width-1, leastWidth)))
}

// line is the state after at of the measured time, negative before it, with a bar
// when there is room for one in width.
func (p *Progress) line(at time.Duration, width int) string {
	if at <= 0 && p.o.Warmup > 0 {
		return fmt.Sprintf("%swarm-up, %s left", p.o.Prefix, whole(-at))
	}
	now := thin(p.recent, 1)[0]
	text := fmt.Sprintf("%s req/s  p99 %s  errors %s", rate(perSecond(now)), spanOf(now.P99), group(p.failed))
	share, left, known := p.share(at)
	if !known {
		return fmt.Sprintf("%s%s  %s", p.o.Prefix, whole(at), text)
	}
	text = fmt.Sprintf("%3.0f %%  %s", share*100, text)
	if left >= 0 {
		text += "  " + whole(left) + " left"
	}
	if room := width - utf8.RuneCountInString(p.o.Prefix+text) - 4; room >= 8 {
		return p.o.Prefix + "[" + bar(share, min(room, 40)) + "] " + text
	}
	return p.o.Prefix + text
}

// share is how much of the run is over, by its time or by its requests, whichever
// is further; left is negative when nobody knows.
func (p *Progress) share(at time.Duration) (share float64, left time.Duration, known bool) {
	left = -1
	if p.o.Duration > 0 {
		share, left, known = float64(at)/float64(p.o.Duration), max(p.o.Duration-at, 0), true
	}
	if p.o.Requests > 0 {
		byCount := float64(p.completed+p.failed) / float64(p.o.Requests)
		if byCount >= share {
			share = byCount
		}
		if byCount > 0 {
			rest := time.Duration(float64(at) * (1 - byCount) / byCount)
			if left < 0 || rest < left {
				left = max(rest, 0)
			}
		}
		known = true
	}
	return min(max(share, 0), 1), left, known
}

// whole is d in whole seconds, rounded up: 0 s is over.
func whole(d time.Duration) string {
	d = (d + time.Second - 1).Truncate(time.Second)
	if d < time.Minute {
		return fmt.Sprintf("%d s", d/time.Second)
	}
	return fmt.Sprintf("%d:%02d min", d/time.Minute, d%time.Minute/time.Second)
}

// fit cuts a line that the terminal would break.
func fit(line string, width int) string {
	if r := []rune(line); len(r) > width {
		return strings.TrimRight(string(r[:width]), " ")
	}
	return line
}
