package upstream_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/upstream"
)

// A request, with one further attempt on another endpoint.
func Example() {
	group, err := upstream.New("api", upstream.Options{
		Targets: []upstream.Target{{URL: "http://10.0.1.11:8080"}, {URL: "http://10.0.1.12:8080"}},
	}, upstream.Hooks{
		OnNew:  func(e *upstream.Endpoint) { e.Pool = "its connections" },
		OnGone: func(*upstream.Endpoint) { /* close those that are idle */ },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	group.Start(ctx)
	defer group.Close()

	attempt := func(e *upstream.Endpoint, status int) bool {
		start := time.Now()
		defer func() { e.End(time.Now()) }()
		// Here the request is sent.
		o := upstream.Outcome{Kind: upstream.KindOf(status), Latency: time.Since(start)}
		e.Observe(time.Now(), o)
		return o.Kind == upstream.Answered
	}

	var tried upstream.Tried
	e, err := group.Pick(time.Now(), 0, nil)
	if errors.Is(err, upstream.ErrFull) {
		e, err = group.Wait(upstream.NewWaiter(ctx), time.Now(), 0)
	}
	if err != nil {
		fmt.Println("503:", err)
		return
	}
	if attempt(e, 502) || !group.MayRepeat("GET") || !group.TryRetry(time.Now()) {
		return
	}
	tried.Add(e)
	if e, err = group.Pick(time.Now(), 0, &tried); err == nil {
		fmt.Println("the other answers:", attempt(e, 200))
	}
	// Output: the other answers: true
}
