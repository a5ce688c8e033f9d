package semantics

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

func TestDateCache(t *testing.T) {
	var d DateCache
	at := time.Date(1994, time.November, 15, 9, 12, 31, 999_999_999, time.FixedZone("", 3600))
	const first, second = "Date: Tue, 15 Nov 1994 08:12:31 GMT\r\n", "Date: Tue, 15 Nov 1994 08:12:32 GMT\r\n"
	for _, c := range []struct {
		now  time.Time
		want string
	}{
		{at, first},
		{at.Truncate(time.Second), first},
		{at.Add(1), second},
		{at, first}, // the wall clock went back (rule O-5)
	} {
		if got := string(d.AppendField(nil, c.now)); got != c.want {
			t.Errorf("at %v: %q, want %q", c.now, got, c.want)
		}
		if got := "Date: " + d.Value(c.now) + "\r\n"; got != c.want {
			t.Errorf("at %v: value of %q, want %q", c.now, got, c.want)
		}
	}
	if got := string(d.AppendField([]byte("x"), at)); got != "x"+first {
		t.Errorf("appended: %q", got)
	}
}

// TestDateCacheConcurrent: every goroutine gets the line of its own time, even
// while others turn the second. Run with -race.
func TestDateCacheConcurrent(t *testing.T) {
	var d DateCache
	var wg sync.WaitGroup
	start := time.Unix(1_000_000_000, 0)
	for g := range 4 {
		wg.Go(func() {
			for i := range 1000 {
				now := start.Add(time.Duration(i+g) * time.Second / 3)
				value := now.UTC().Format(http.TimeFormat)
				if got, want := string(d.AppendField(nil, now)), "Date: "+value+"\r\n"; got != want {
					t.Errorf("got %q, want %q", got, want)
					return
				}
				if got := d.Value(now); got != value {
					t.Errorf("got %q, want %q", got, value)
					return
				}
			}
		})
	}
	wg.Wait()
}
