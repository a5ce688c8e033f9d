package upstream

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func TestDefaults(t *testing.T) {
	got := Options{Targets: targets(1)}.complete()
	want := Options{
		Targets: targets(1), Balance: P2C, Hash: Hash{By: "client", LoadPercent: 125},
		Health:    Health{Interval: 5 * time.Second, Timeout: 2 * time.Second, Fall: 3, Rise: 2, Expect: "200-399", BodyBytes: 64 << 10},
		Eject:     Eject{After: 5, For: 30 * time.Second, Max: 5 * time.Minute, MaxPercent: 50},
		Retry:     Retry{Attempts: 2, BudgetPercent: 20, PerSecond: 3, Methods: []string{"GET", "HEAD", "OPTIONS"}},
		Limits:    Limits{MaxConns: 512, MaxRequests: -1, Queue: 1024},
		SlowStart: 10 * time.Second, Resolve: Resolve{Interval: 10 * time.Second, Network: "ip"},
		ConnectTimeout: 3 * time.Second, HeadTimeout: time.Minute,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("front.md says\n%+v, got\n%+v", want, got)
	}
	if again := got.complete(); !reflect.DeepEqual(again, got) {
		t.Errorf("filling in twice changes\n%+v to\n%+v", got, again)
	}
	servetest.Must(t, "the defaults are valid", got.Validate())
}

// Negative is none, and stays so.
func TestNegativeIsNone(t *testing.T) {
	o := Options{
		Targets: targets(1), SlowStart: -1, ConnectTimeout: -1, HeadTimeout: -1,
		Health: Health{Path: "/", Interval: -1}, Eject: Eject{After: -1, MaxPercent: -1},
		Retry:   Retry{Attempts: -1, BudgetPercent: -1, PerSecond: -1},
		Limits:  Limits{MaxConns: -1, MaxRequests: -1, Queue: -1},
		Resolve: Resolve{Interval: -1},
	}
	servetest.Must(t, "all of it is valid", o.Validate())
	c := o.complete()
	servetest.Want(t, "no active checks", c.Health.enabled(), false)
	servetest.Want(t, "no attempts", c.Retry.Attempts, -1)
	servetest.Want(t, "no limit", limitOf(&c.Limits, 1), 1<<63-1)
	set, err := newSettings(o)
	servetest.Must(t, "settings", err)
	servetest.Want(t, "a wait in the queue has an end nevertheless", set.queueTimeout, 3*time.Second)
	servetest.Want(t, "and a failure counts", set.failureLatency, time.Minute)

	g := newGroup(t, o, Hooks{})
	now := time.Now()
	servetest.Want(t, "no budget at all", g.TryRetry(now), false)
	_, err = g.Wait(NewWaiter(t.Context()), now, 0)
	servetest.WantErr(t, "no queue", err, ErrQueueFull)
}

// Validate tells all at once.
func TestValidateTellsAll(t *testing.T) {
	err := Options{
		Targets: []Target{{URL: "ftp://a"}, {URL: "http://a"}, {URL: "HTTP://A:80"}, {URL: "http://b", Weight: 1001}},
		Balance: "best", Hash: Hash{By: "header", LoadPercent: 100},
		Health: Health{Path: "x y", Host: "a\r\nb", Expect: "200-", Interval: time.Millisecond},
		Eject:  Eject{MaxPercent: 101}, Retry: Retry{Attempts: 8, BudgetPercent: 101, Methods: []string{"POST"}},
		Resolve: Resolve{Network: "tcp"},
	}.Validate()
	if err == nil {
		t.Fatal("all of that was taken")
	}
	lines := strings.Split(err.Error(), "\n")
	for _, want := range []string{
		"targets[0]: ", "targets[2]: http://a:80 is targets[1] already", "targets[3]: weight", "balance: ", "hash: a key by header",
		"hash: a load", "health: path", "health: host", "health: expect", "health: an interval", "eject: ", "retry: 8", "retry: a budget",
		"retry: method", "resolve: ",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not among\n%v", want, err)
		}
	}
	servetest.Want(t, "one line for each", len(lines), 15)
	servetest.Want(t, "no targets", Options{}.Validate().Error(), "targets: none is given")
	servetest.Want(t, "too many", Options{Targets: targets(257)}.Validate().Error(), "targets: 257 are more than 256")
	servetest.Want(t, "by cookie without name", Options{Targets: targets(1), Hash: Hash{By: "cookie"}}.Validate() != nil, true)
	if _, err := New("api", Options{}, Hooks{}); err == nil || err.Error() != "upstream api: targets: none is given" {
		t.Errorf("New says %v", err)
	}
}

func TestExpects(t *testing.T) {
	h := Health{Expect: "200-204, 304"}
	for status, want := range map[int]bool{199: false, 200: true, 204: true, 205: false, 304: true, 500: false} {
		servetest.Want(t, "of 200-204, 304", h.expects(status), want)
	}
	for _, s := range []string{"", "20", "200-199", "200-600", "99", "a", "200,", "-200", "200--300"} {
		if r, err := parseStatuses(s); err == nil {
			t.Errorf("%q was taken as %v", s, r)
		}
	}
}
