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

// settle is how long connections are left alone before memory is read: servers give
// buffers back after a while, and collectors come by.
const settle = 6 * time.Second

// idle is the memory of each of the work's connections, in KiB, once each has had
// one answer.
func (s *Suite) idle(ctx context.Context, server *process, w Work, url string) (float64, error) {
	before := server.memory()
	clients := make([]*http.Transport, w.Connections)
	defer func() {
		for _, c := range clients {
			if c != nil {
				c.CloseIdleConnections()
			}
		}
	}()
	const at = 64 // at one time
	var wg sync.WaitGroup
	errs := make(chan error, at)
	for part := range at {
		wg.Go(func() {
			for i := part; i < len(clients); i += at {
				clients[i] = newIdleClient(w.Protocol == "h2")
				if err := askOnce(ctx, clients[i], url, w.Protocol); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return 0, err
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(settle):
	}
	return float64(server.memory()-before) / float64(w.Connections), nil
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
