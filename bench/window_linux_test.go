package bench

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/penstock-edge/penstock/serve/h2/frame"
)

// A server that keeps to its windows can send an answer of any length: both the
// stream's and the connection's are renewed before they are used up (RFC 9113 §6.9).
func TestWindowsRenewedH2(t *testing.T) {
	const (
		payload = frame.DefaultMaxSize
		total   = int64(3 * windowH2)
	)
	c := feed(http.MethodGet, H2)
	c.w.plan.KeepBody = false
	c.w.start(c, 0, 0)
	id := c.slots[0].id
	windows := map[uint32]int64{0: firstWindow, id: firstWindow}
	head := append(frame.BeginHeaders(nil), 0x88) // :status 200
	if !c.take(frame.FinishHeaders(head, 0, id, 0, frame.DefaultMaxSize)) {
		t.Fatalf("the head is refused: %v", c.w.stats.first)
	}
	data := frame.AppendData(nil, id, 0, make([]byte, payload))
	for sent := int64(0); sent < total; sent += payload {
		renew(t, windows, id, c.w.plain)
		c.w.plain = c.w.plain[:0]
		for of, left := range windows {
			if left < payload {
				t.Fatalf("after %d bytes the window of stream %d has %d left: the answer stalls", sent, of, left)
			}
			if left > frame.MaxWindow {
				t.Fatalf("after %d bytes the window of stream %d is %d, more than allowed", sent, of, left)
			}
			windows[of] -= payload
		}
		if !c.take(data) {
			t.Fatalf("after %d bytes: %v", sent, c.w.stats.first)
		}
	}
	c.take(frame.AppendData(nil, id, frame.FlagEndStream, nil))
	if s := c.w.stats; s.completed != 1 || s.bodyBytes != total {
		t.Errorf("%d completed, %d bytes, %v; want 1 of %d", s.completed, s.bodyBytes, s.first, total)
	}
}

// renew is what a server makes of what the client says: windows of the connection
// (0) and of stream id.
func renew(t *testing.T, windows map[uint32]int64, id uint32, b []byte) {
	t.Helper()
	b = bytes.TrimPrefix(b, []byte(frame.Preface))
	for len(b) > 0 {
		hd := frame.ParseHeader(b)
		end := frame.HeaderSize + int(hd.Length)
		p := b[frame.HeaderSize:end]
		b = b[end:]
		switch hd.Type {
		case frame.TypeWindowUpdate:
			n, err := frame.ParseWindowUpdate(hd, p)
			if err != nil {
				t.Fatal(err)
			}
			windows[hd.StreamID] += int64(n)
		case frame.TypeSettings:
			for i := range frame.NumSettings(p) {
				if s := frame.SettingAt(p, i); s.ID == frame.SettingInitialWindowSize {
					windows[id] += int64(s.Value) - firstWindow
				}
			}
		default: // the request
		}
	}
}
