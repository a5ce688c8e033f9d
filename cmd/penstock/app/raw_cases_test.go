package app

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

const (
	rawCaseFile  = "../../../serve/h1/testdata/cases.json"
	rawCaseCount = 101 // at least; fewer means that the file was cut

	dueWait   = 10 * time.Second // longest wait for an answer that must come
	quietWait = time.Second      // the exchange is over when nothing comes for so long
	totalWait = 30 * time.Second // no exchange lasts longer
	rawAtOnce = 16               // exchanges at a time
)

// rawCase is one entry of the case file: bytes for one connection, and what
// must become of them.
type rawCase struct {
	ID, Category, Expectation, Ref string
	Bytes                          []byte
	Fill                           *struct {
		At, Times int
		Bytes     []byte
	}
	Size              int
	MaxFinalResponses int `json:"max_final_responses"`
}

// input is all that is sent.
func (c *rawCase) input() []byte {
	if c.Fill == nil {
		return c.Bytes
	}
	return slices.Concat(c.Bytes[:c.Fill.At], slices.Repeat(c.Fill.Bytes, c.Fill.Times), c.Bytes[c.Fill.At:])
}

// due is the number of final answers that must come; until then the server is
// given dueWait.
func (c *rawCase) due() int {
	switch c.Expectation {
	case "accept":
		return c.MaxFinalResponses
	case "answer":
		return 1
	}
	return 0
}

// rawOutcome is what the server did with a case.
type rawOutcome struct {
	statuses []int // all of them, in order
	closed   bool  // the server ended the connection
	err      error // the exchange could not be made at all
}

func (o rawOutcome) count(least, below int) (n int) {
	for _, s := range o.statuses {
		if s >= least && s < below {
			n++
		}
	}
	return n
}

func (o rawOutcome) String() string {
	if o.err != nil {
		return o.err.Error()
	}
	return fmt.Sprintf("statuses %v, closed %v", o.statuses, o.closed)
}

// passes is the judgement of a case. Two things are failures though the server
// answered as it should: more answers than requests, and, where a request must
// be refused or the connection closed, a success on a connection that stays open.
func (c *rawCase) passes(o rawOutcome) bool {
	if o.err != nil {
		return false
	}
	final, success := o.count(200, 1000), o.count(200, 400)
	switch c.Expectation {
	case "accept":
		return final == c.MaxFinalResponses && success == c.MaxFinalResponses
	case "answer":
		return final > 0 && final <= c.MaxFinalResponses
	case "reject":
		return final <= c.MaxFinalResponses && success == 0
	case "reject-or-close":
		return final <= c.MaxFinalResponses && (success == 0 || o.closed)
	}
	return false
}

var statusLine = regexp.MustCompile(`HTTP/1\.[01] ([1-5][0-9][0-9])[ \r]`)

// exchangeRaw sends the bytes and collects what is answered.
func exchangeRaw(address string, secure bool, data []byte, due int) (o rawOutcome) {
	conn, err := dialRaw(address, secure)
	if err != nil {
		return rawOutcome{err: err}
	}
	defer conn.Close()
	end := time.Now().Add(totalWait)
	_ = conn.SetWriteDeadline(time.Now().Add(dueWait))
	_, _ = conn.Write(data) // it may stop reading, and have answered before
	var received []byte
	part := make([]byte, 64<<10)
	for time.Now().Before(end) {
		wait := quietWait
		if o.count(200, 1000) < due {
			wait = dueWait
		}
		_ = conn.SetReadDeadline(time.Now().Add(wait))
		n, err := conn.Read(part)
		received = append(received, part[:n]...)
		o.statuses = o.statuses[:0]
		for _, m := range statusLine.FindAllSubmatch(received, -1) {
			code, _ := strconv.Atoi(string(m[1]))
			o.statuses = append(o.statuses, code)
		}
		if err != nil {
			var timeout net.Error
			ok := errors.As(err, &timeout)
			o.closed = !ok || !timeout.Timeout()
			break
		}
	}
	return o
}

func dialRaw(address string, secure bool) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: dueWait}
	if !secure {
		return dialer.Dial("tcp", address)
	}
	return tls.DialWithDialer(dialer, "tcp", address, &tls.Config{
		InsecureSkipVerify: true, NextProtos: []string{"http/1.1"},
	})
}

func readRawCases(t *testing.T) []rawCase {
	t.Helper()
	text, err := os.ReadFile(rawCaseFile)
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Cases []rawCase }
	if err := json.Unmarshal(text, &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Cases) < rawCaseCount {
		t.Fatalf("%d cases, want %d or more", len(set.Cases), rawCaseCount)
	}
	for i := range set.Cases {
		c := &set.Cases[i]
		if n := len(c.input()); n != c.Size {
			t.Fatalf("%s: %d bytes, the file says %d", c.ID, n, c.Size)
		}
		if !slices.Contains([]string{"accept", "reject", "reject-or-close", "answer"}, c.Expectation) {
			t.Fatalf("%s: unknown expectation %q", c.ID, c.Expectation)
		}
	}
	return set.Cases
}

// TestConformanceRawCases runs every raw case against a process that serves as users run
// it, in the clear and over TLS, on event loops and in the portable form.
func TestConformanceRawCases(t *testing.T) {
	cases := readRawCases(t)
	for _, form := range []struct{ name, loop string }{{"event loop", "on"}, {"portable", "off"}} {
		p := start(t, nil, "respond", "--listen", anyPort, "--tls-listen", anyPort, "--event-loop="+form.loop)
		for _, text := range p.urls {
			u, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			secure := u.Scheme == "https"
			t.Run(form.name+"/"+u.Scheme, func(t *testing.T) {
				wantAlive(t, "before the cases", u.Host, secure)
				runRawCases(t, cases, u.Host, secure)
				wantAlive(t, "after the cases", u.Host, secure)
			})
		}
	}
}

func runRawCases(t *testing.T, cases []rawCase, address string, secure bool) {
	outcomes := make([]rawOutcome, len(cases))
	places := make(chan struct{}, rawAtOnce)
	var group sync.WaitGroup
	for i := range cases {
		group.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			outcomes[i] = exchangeRaw(address, secure, cases[i].input(), cases[i].due())
		})
	}
	group.Wait()
	for i := range cases {
		c, o := &cases[i], outcomes[i]
		t.Run(c.Category+"/"+c.ID, func(t *testing.T) {
			if in := c.input(); !c.passes(o) {
				t.Errorf("%v, want %s of at most %d final answers (%s) to %.120q", o, c.Expectation, c.MaxFinalResponses, c.Ref, in)
			}
		})
	}
}

func wantAlive(t *testing.T, when, address string, secure bool) {
	t.Helper()
	o := exchangeRaw(address, secure, []byte("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"), 1)
	if o.err != nil || o.count(200, 400) != 1 {
		t.Errorf("a plain request %s: %v", when, o)
	}
}

// TestRawJudgement: the judge itself finds what is wrong.
func TestRawJudgement(t *testing.T) {
	tests := []struct {
		expectation string
		limit       int
		outcome     rawOutcome
		want        bool
	}{
		{"accept", 1, rawOutcome{statuses: []int{100, 200}}, true},
		{"accept", 1, rawOutcome{statuses: []int{400}}, false},
		{"accept", 2, rawOutcome{statuses: []int{200}}, false},
		{"reject", 1, rawOutcome{statuses: []int{400}, closed: true}, true},
		{"reject", 1, rawOutcome{closed: true}, true},
		{"reject", 1, rawOutcome{statuses: []int{200}, closed: true}, false},
		{"reject", 1, rawOutcome{statuses: []int{400, 400}}, false},
		{"reject-or-close", 1, rawOutcome{statuses: []int{200}, closed: true}, true},
		{"reject-or-close", 1, rawOutcome{statuses: []int{200}}, false},
		{"answer", 1, rawOutcome{statuses: []int{505}}, true},
		{"answer", 1, rawOutcome{}, false},
		{"reject", 1, rawOutcome{err: os.ErrDeadlineExceeded}, false},
	}
	for _, test := range tests {
		c := rawCase{Expectation: test.expectation, MaxFinalResponses: test.limit}
		if got := c.passes(test.outcome); got != test.want {
			t.Errorf("%s with %v: passes %v", test.expectation, test.outcome, got)
		}
	}
}
