package suite

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	// settle is how long connections are left alone before memory is read: servers
	// give buffers back after a while, and collectors come by.
	settle = 6 * time.Second
	// awake is how long a server is given behind a few connections, before its own
	// memory is read: workers prepare theirs when they already listen.
	awake = time.Second
	// connectLimit bounds the time until all have had their answer.
	connectLimit = time.Minute
	// connectAt is how many are made at one time.
	connectAt = 64
)

// idle is the memory of each of the work's connections, in KiB, once each has had
// one answer.
func (n *session) idle(ctx context.Context, t *turn) (float64, error) {
	w := t.work
	few := make([]*http.Transport, connectAt)
	err := connectAll(ctx, few, w, w.url(t.place))
	closeAll(few)
	if err != nil {
		return 0, err
	}
	if err := sleep(ctx, awake); err != nil {
		return 0, err
	}
	before := t.server.memory()
	clients := make([]*http.Transport, w.Connections)
	defer closeAll(clients)
	if err := connectAll(ctx, clients, w, w.url(t.place)); err != nil {
		return 0, err
	}
	if err := sleep(ctx, settle); err != nil {
		return 0, err
	}
	return float64(t.server.memory()-before) / float64(w.Connections), nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func closeAll(clients []*http.Transport) {
	for _, c := range clients {
		if c != nil {
			c.CloseIdleConnections()
		}
	}
}

// connectAll has each client ask once. Too slow a machine is a slowError.
func connectAll(ctx context.Context, clients []*http.Transport, w Work, url string) error {
	limited, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	var all sync.WaitGroup
	errs := make(chan error, connectAt)
	for part := range connectAt {
		all.Go(func() {
			for i := part; i < len(clients); i += connectAt {
				clients[i] = newIdleClient(w.Protocol == "h2")
				if err := askOnce(limited, clients[i], url, w.Protocol); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(errs)
	err := <-errs
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return &slowError{fmt.Sprintf("%d connections were not there within %v", len(clients), connectLimit)}
	}
	return err
}

// newIdleClient is a client of one connection.
func newIdleClient(h2 bool) *http.Transport {
	p := new(http.Protocols)
	p.SetHTTP1(!h2)
	p.SetHTTP2(h2)
	return &http.Transport{Protocols: p, MaxConnsPerHost: 1, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // the suite's own certificate
}

func askOnce(ctx context.Context, c *http.Transport, url, protocol string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := c.RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if want := map[string]int{"h1": 1, "h2": 2}[protocol]; resp.StatusCode != http.StatusOK || resp.ProtoMajor != want {
		return fmt.Errorf("answered %s over %s", resp.Status, resp.Proto)
	}
	return nil
}
