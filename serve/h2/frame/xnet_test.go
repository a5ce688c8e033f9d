package frame_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penstock-edge/penstock/serve/h2/frame"
)

// A difference is a frame that x/net reads otherwise than we do, and why we
// want that. Verdicts are without sections, of which x/net has none; theirs is
// empty where x/net accepts.
type difference struct {
	why          string
	frame        []byte
	ours, theirs string
}

const (
	connSize       = "conn FRAME_SIZE_ERROR"
	connProtocol   = "conn PROTOCOL_ERROR"
	streamSize     = "stream FRAME_SIZE_ERROR"
	streamProtocol = "stream PROTOCOL_ERROR"
)

// In all of them we refuse; each is by type of frame and both verdicts.
var differences = []difference{
	{"its server looks at the number later", raw(frame.TypeHeaders, 0, 2, "a"), connProtocol, ""},
	{"as the line before, and it sees an end of file in the payload", raw(frame.TypeHeaders, padded, 2, ""), connProtocol, "EOF"},
	{"it sees an end of file in the payload of DATA", raw(frame.TypeData, padded, 1, ""), connSize, "EOF"},
	{"it sees an end of file in the payload of HEADERS", raw(frame.TypeHeaders, prio, 1, zeros(4)), connSize, "EOF"},
	{"it ends the stream for wrong padding; RFC 9113 §6.2 says connection", raw(frame.TypeHeaders, padded, 1, "\x01"), connProtocol, streamProtocol},
	{"its server looks at dependencies later", raw(frame.TypePriority, 0, 1, "\x00\x00\x00\x01a"), streamProtocol, ""},
	{"as the line before, in HEADERS", raw(frame.TypeHeaders, prio, 1, "\x00\x00\x00\x01a"), streamProtocol, ""},
	{"it ends the connection for a PRIORITY of wrong size; RFC 9113 §6.3 says stream", raw(frame.TypePriority, 0, 1, ""), streamSize, connSize},
	{"it looks at the size of RST_STREAM before the stream", raw(frame.TypeRSTStream, 0, 0, ""), connProtocol, connSize},
	{"it looks at the size of SETTINGS with ACK before the stream", raw(frame.TypeSettings, ack, 1, "a"), connProtocol, connSize},
	{"it looks at the initial window before all other settings", raw(frame.TypeSettings, 0, 0, entry(2, 2)+entry(4, 1<<31)), connProtocol, "conn FLOW_CONTROL_ERROR"},
	{"it does not look at this setting", raw(frame.TypeSettings, 0, 0, entry(9, 2)), connProtocol, ""},
	{"its server refuses PUSH_PROMISE later", raw(frame.TypePushPromise, 0, 1, zeros(4)), connProtocol, ""},
	{"its framer wants a whole PUSH_PROMISE first", raw(frame.TypePushPromise, 0, 1, ""), connProtocol, "EOF"},
	{"it looks at the size of PING before the stream", raw(frame.TypePing, 0, 1, ""), connProtocol, connSize},
	{"it does not know that nobody pushes", raw(frame.TypePriorityUpdate, 0, 0, "\x00\x00\x00\x02"), connProtocol, ""},
}

func TestDifferences(t *testing.T) {
	for _, d := range differences {
		t.Run(d.why, func(t *testing.T) {
			if got := withoutSection(read(d.frame)); got != d.ours {
				t.Errorf("ours: %s, want %s", got, d.ours)
			}
			_, got := readXNet(d.frame)
			if got != d.theirs {
				t.Errorf("theirs: %s, want %s", got, d.theirs)
			}
		})
	}
}

func TestXNet(t *testing.T) {
	for _, r := range rules {
		for _, c := range r.cases {
			t.Run(r.section+": "+c.name, func(t *testing.T) { compareXNet(t, c.frame) })
		}
	}
}

// FuzzXNet: what we accept, x/net reads alike; what we refuse, it refuses with
// the same error, but for the differences.
func FuzzXNet(f *testing.F) {
	addRules(f)
	for _, d := range differences {
		addFrame(f, d.frame)
	}
	f.Fuzz(func(t *testing.T, typ, flags uint8, id uint32, payload string) {
		compareXNet(t, raw(frame.Type(typ), frame.Flags(flags), id, payload))
	})
}

func compareXNet(t *testing.T, in []byte) {
	t.Helper()
	reading, theirs := readXNet(in)
	ours := ""
	if e := parse(in); e != nil {
		ours = withoutSection(verdict(e))
	}
	if ours == "" {
		if got := read(in); theirs != "" || got != reading {
			t.Fatalf("%q\nours:  %s\nx/net: %s %s", in, got, reading, theirs)
		}
		return
	}
	typ := frame.ParseHeader(in).Type
	wanted := func(d difference) bool {
		return d.ours == ours && d.theirs == theirs && frame.ParseHeader(d.frame).Type == typ
	}
	if ours != theirs && !slices.ContainsFunc(differences, wanted) {
		t.Fatalf("%q\nours:  %s\nx/net: %s %s, which is no wanted difference", in, ours, reading, theirs)
	}
}

// withoutSection cuts a verdict to its scope and code.
func withoutSection(v string) string {
	words := strings.SplitN(v, " ", 3)
	return strings.Join(words[:min(2, len(words))], " ")
}

// readXNet is read by the framer of x/net; which frame may follow which is left
// out of it.
func readXNet(b []byte) (reading, verdict string) {
	fr := http2.NewFramer(io.Discard, bytes.NewReader(b))
	fr.AllowIllegalReads = true
	fr.SetMaxReadFrameSize(frame.DefaultMaxSize)
	f, err := fr.ReadFrame()
	var conn http2.ConnectionError
	var stream http2.StreamError
	switch {
	case errors.Is(err, http2.ErrFrameTooLarge):
		return "", connSize
	case errors.As(err, &conn):
		return "", "conn " + http2.ErrCode(conn).String()
	case errors.As(err, &stream):
		return "", "stream " + stream.Code.String()
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "", "EOF"
	case err != nil:
		return "", err.Error()
	}
	reading, err = showXNet(f)
	if errors.As(err, &conn) {
		return "", "conn " + http2.ErrCode(conn).String()
	}
	h := f.Header()
	return fmt.Sprintf("%v %d: %s", frame.Type(h.Type), h.StreamID, reading), ""
}

func showXNet(f http2.Frame) (string, error) {
	switch f := f.(type) {
	case *http2.DataFrame:
		return fmt.Sprintf("%q", f.Data()), nil
	case *http2.HeadersFrame:
		fragment := fmt.Sprintf("%q", f.HeaderBlockFragment())
		if !f.HasPriority() {
			return fragment, nil
		}
		p := f.Priority
		return fragment + " " + showPriority(p.StreamDep, p.Exclusive, p.Weight), nil
	case *http2.PriorityFrame:
		return showPriority(f.StreamDep, f.Exclusive, f.Weight), nil
	case *http2.RSTStreamFrame:
		return frame.ErrCode(f.ErrCode).String(), nil
	case *http2.SettingsFrame:
		parts := []string{fmt.Sprintf("ack=%t", f.IsAck())}
		err := f.ForeachSetting(func(s http2.Setting) error {
			parts = append(parts, fmt.Sprintf("%d=%d", s.ID, s.Val))
			return s.Valid()
		})
		return strings.Join(parts, " "), err
	case *http2.PingFrame:
		return fmt.Sprintf("ack=%t %q", f.IsAck(), f.Data), nil
	case *http2.GoAwayFrame:
		return fmt.Sprintf("%d %v %q", f.LastStreamID, frame.ErrCode(f.ErrCode), f.DebugData()), nil
	case *http2.WindowUpdateFrame:
		return fmt.Sprint(f.Increment), nil
	case *http2.ContinuationFrame:
		return fmt.Sprintf("%q", f.HeaderBlockFragment()), nil
	case *http2.PriorityUpdateFrame:
		return fmt.Sprintf("%d %q", f.PrioritizedStreamID, f.Priority), nil
	case *http2.UnknownFrame:
		return fmt.Sprintf("%d bytes", len(f.Payload())), nil
	default:
		return fmt.Sprintf("%T", f), nil
	}
}
