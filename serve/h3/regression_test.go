package h3

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/h3/frame"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// TestConcurrentHeads: heads that are read side by side, as they are once a
// handler was late, are each judged by their own fields: the memory of the last
// ones is shared.
func TestConcurrentHeads(t *testing.T) {
	t.Parallel()
	c := connect(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(3 * tick) // it is overtaken
		io.WriteString(w, r.RequestURI)
	})
	c.request(headers(get("/")...)).wantAnswer("the late one", "200", "/")
	var all sync.WaitGroup
	for i := range 60 {
		path := fmt.Sprintf("/%d", i)
		switch i % 3 {
		case 0:
			all.Go(func() { c.request(headers(get(path)...)).wantAnswer("a good one", "200", path) })
		case 1:
			all.Go(func() {
				c.request(headers(get(path, "connection", path)...)).wantReset("a malformed one", frame.MessageError)
			})
		case 2:
			all.Go(func() { c.request(headers(pseudo("TRACE", path)...)).wantAnswer("one that is refused", "405", "") })
		}
	}
	all.Wait()
	servetest.Want(t, "the connection lives", c.q.Context().Err(), nil)
}
