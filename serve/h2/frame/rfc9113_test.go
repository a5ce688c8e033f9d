package frame_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/h2/frame"
)

// A frameCase is one frame, and how it reads or what is said against it.
type frameCase struct {
	name  string
	frame []byte
	want  string
}

const (
	end    = frame.FlagEndStream
	ack    = frame.FlagAck
	padded = frame.FlagPadded
	prio   = frame.FlagPriority
)

// entry is a setting in a payload.
func entry(id frame.SettingID, value uint32) string {
	return string([]byte{byte(id >> 8), byte(id), byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)})
}

// rules are in the order of RFC 9113, so a gap is visible; those of other RFCs
// follow. Each rule is crossed, and nearly crossed. They seed the fuzz tests.
var rules = []struct {
	section string
	cases   []frameCase
}{
	{"4.1 Frame Format", []frameCase{
		{"reserved bit is ignored", raw(frame.TypeData, 0, 1<<31|5, "a"), `DATA 5: "a"`},
		{"reserved bit on stream 0", raw(frame.TypeData, 0, 1<<31, "a"), "conn PROTOCOL_ERROR 6.1"},
		{"highest stream", raw(frame.TypeData, 0, 1<<31-1, "a"), `DATA 2147483647: "a"`},
		{"flags that mean nothing", raw(frame.TypePing, 0xfe, 0, zeros(8)), `PING 0: ack=false "` + strings.Repeat(`\x00`, 8) + `"`},
		{"padding where there is none", raw(frame.TypeContinuation, 0xfb, 1, "\x09a"), `CONTINUATION 1: "\ta"`},
		{"unknown type", raw(0x0a, 0xff, 7, "abc"), "0xa 7: 3 bytes"},
		{"unknown type on stream 0", raw(0xff, 0, 0, ""), "0xff 0: 0 bytes"},
		{"unknown type before PRIORITY_UPDATE", raw(0x0f, 0, 2, "a"), "0xf 2: 1 bytes"},
		{"unknown type behind PRIORITY_UPDATE", raw(0x11, 0, 2, "a"), "0x11 2: 1 bytes"},
	}},
	{"4.2 Frame Size", []frameCase{
		{"DATA of 2^14", raw(frame.TypeData, padded, 1, "\xff"+zeros(16383)), fmt.Sprintf("DATA 1: %q", zeros(16383-255))},
		{"DATA above", raw(frame.TypeData, 0, 1, zeros(16385)), "conn FRAME_SIZE_ERROR 4.2"},
		{"HEADERS of 2^14", raw(frame.TypeHeaders, 0, 1, zeros(16384)), fmt.Sprintf("HEADERS 1: %q", zeros(16384))},
		{"HEADERS above", raw(frame.TypeHeaders, 0, 1, zeros(16385)), "conn FRAME_SIZE_ERROR 4.2"},
		{"PRIORITY above", raw(frame.TypePriority, 0, 1, zeros(16385)), "conn FRAME_SIZE_ERROR 4.2"},
		{"RST_STREAM above", raw(frame.TypeRSTStream, 0, 1, zeros(16385)), "conn FRAME_SIZE_ERROR 4.2"},
		{"SETTINGS above", raw(frame.TypeSettings, 0, 0, zeros(16386)), "conn FRAME_SIZE_ERROR 4.2"},
		{"PUSH_PROMISE above", raw(frame.TypePushPromise, 0, 1, zeros(16385)), "conn FRAME_SIZE_ERROR 4.2"},
		{"GOAWAY of 2^14", raw(frame.TypeGoAway, 0, 0, zeros(16384)), fmt.Sprintf("GOAWAY 0: 0 NO_ERROR %q", zeros(16376))},
		{"GOAWAY above", raw(frame.TypeGoAway, 0, 0, zeros(16385)), "conn FRAME_SIZE_ERROR 4.2"},
		{"CONTINUATION of 2^14", raw(frame.TypeContinuation, 0, 1, zeros(16384)), fmt.Sprintf("CONTINUATION 1: %q", zeros(16384))},
		{"CONTINUATION above", raw(frame.TypeContinuation, 0, 1, zeros(16385)), "conn FRAME_SIZE_ERROR 4.2"},
		{"unknown type of 2^14", raw(0xbb, 0, 1, zeros(16384)), "0xbb 1: 16384 bytes"},
		{"unknown type above", raw(0xbb, 0, 1, zeros(16385)), "conn FRAME_SIZE_ERROR 4.2"},
		{"the longest", []byte("\xff\xff\xff\x00\x00\x00\x00\x00\x01"), "conn FRAME_SIZE_ERROR 4.2"},
		{"HTTP/1.1", []byte("GET / HTTP/1.1\r\n\r\n"), "conn FRAME_SIZE_ERROR 4.2"},
	}},
	{"5.1.1 Stream Identifiers", []frameCase{
		{"HEADERS on an odd stream", raw(frame.TypeHeaders, 0, 3, "a"), `HEADERS 3: "a"`},
		{"HEADERS on an even stream", raw(frame.TypeHeaders, 0, 2, "a"), "conn PROTOCOL_ERROR 5.1.1"},
		// Whether such streams are idle is for the engine.
		{"DATA on an even stream", raw(frame.TypeData, 0, 2, "a"), `DATA 2: "a"`},
		{"PRIORITY on an even stream", raw(frame.TypePriority, 0, 2, zeros(5)), "PRIORITY 2: on=0 exclusive=false weight=0"},
	}},
	{"6.1 DATA", []frameCase{
		{"plain", raw(frame.TypeData, end, 1, "abc"), `DATA 1: "abc"`},
		{"empty", raw(frame.TypeData, end, 1, ""), `DATA 1: ""`},
		{"padded", raw(frame.TypeData, padded, 1, "\x02abc\x00\x00"), `DATA 1: "abc"`},
		{"padding need not be zero", raw(frame.TypeData, padded, 1, "\x02abcde"), `DATA 1: "abc"`},
		{"padding of 0", raw(frame.TypeData, padded, 1, "\x00abc"), `DATA 1: "abc"`},
		{"pad length only", raw(frame.TypeData, padded, 1, "\x00"), `DATA 1: ""`},
		{"padding only", raw(frame.TypeData, padded, 1, "\x03\x00\x00\x00"), `DATA 1: ""`},
		{"padding of the payload's length", raw(frame.TypeData, padded, 1, "\x04\x00\x00\x00"), "conn PROTOCOL_ERROR 6.1"},
		{"padding above the payload", raw(frame.TypeData, padded, 1, "\xff\x00\x00\x00"), "conn PROTOCOL_ERROR 6.1"},
		{"pad length 1 only", raw(frame.TypeData, padded, 1, "\x01"), "conn PROTOCOL_ERROR 6.1"},
		{"padded without pad length", raw(frame.TypeData, padded, 1, ""), "conn FRAME_SIZE_ERROR 4.2"},
		{"stream 0", raw(frame.TypeData, 0, 0, "abc"), "conn PROTOCOL_ERROR 6.1"},
	}},
	{"6.2 HEADERS", []frameCase{
		{"plain", raw(frame.TypeHeaders, 0x5, 1, "abc"), `HEADERS 1: "abc"`},
		{"empty", raw(frame.TypeHeaders, 0, 1, ""), `HEADERS 1: ""`},
		{"padded", raw(frame.TypeHeaders, padded, 1, "\x02abc\x00\x00"), `HEADERS 1: "abc"`},
		{"padding only", raw(frame.TypeHeaders, padded, 1, "\x02\x00\x00"), `HEADERS 1: ""`},
		{"padding above what remains", raw(frame.TypeHeaders, padded, 1, "\x03\x00\x00"), "conn PROTOCOL_ERROR 6.2"},
		{"padded without pad length", raw(frame.TypeHeaders, padded, 1, ""), "conn FRAME_SIZE_ERROR 4.2"},
		{"priority", raw(frame.TypeHeaders, prio, 1, "\x80\x00\x00\x03\x0fabc"), `HEADERS 1: "abc" on=3 exclusive=true weight=15`},
		{"priority only", raw(frame.TypeHeaders, prio, 1, zeros(5)), `HEADERS 1: "" on=0 exclusive=false weight=0`},
		{"priority cut", raw(frame.TypeHeaders, prio, 1, zeros(4)), "conn FRAME_SIZE_ERROR 4.2"},
		{"both", raw(frame.TypeHeaders, padded|prio, 1, "\x01\x00\x00\x00\x03\x0fabc\x00"), `HEADERS 1: "abc" on=3 exclusive=false weight=15`},
		{"both, nothing else", raw(frame.TypeHeaders, padded|prio, 1, zeros(6)), `HEADERS 1: "" on=0 exclusive=false weight=0`},
		{"both, cut", raw(frame.TypeHeaders, padded|prio, 1, zeros(5)), "conn FRAME_SIZE_ERROR 4.2"},
		{"padding reaches into priority", raw(frame.TypeHeaders, padded|prio, 1, "\x01"+zeros(5)), "conn PROTOCOL_ERROR 6.2"},
		{"depends on itself", raw(frame.TypeHeaders, prio, 5, "\x00\x00\x00\x05\x0fabc"), "stream PROTOCOL_ERROR RFC 7540 5.3.1"},
		{"depends on itself, exclusively", raw(frame.TypeHeaders, prio, 5, "\x80\x00\x00\x05\x0fabc"), "stream PROTOCOL_ERROR RFC 7540 5.3.1"},
		{"depends on itself, padding too long", raw(frame.TypeHeaders, padded|prio, 5, "\x04\x00\x00\x00\x05\x0fabc"), "conn PROTOCOL_ERROR 6.2"},
		{"stream 0", raw(frame.TypeHeaders, 0, 0, "abc"), "conn PROTOCOL_ERROR 6.2"},
	}},
	{"6.3 PRIORITY", []frameCase{
		{"plain", raw(frame.TypePriority, 0, 5, "\x00\x00\x00\x03\xff"), "PRIORITY 5: on=3 exclusive=false weight=255"},
		{"exclusive", raw(frame.TypePriority, 0, 5, "\xff\xff\xff\xff\x00"), "PRIORITY 5: on=2147483647 exclusive=true weight=0"},
		{"on itself", raw(frame.TypePriority, 0, 5, "\x80\x00\x00\x05\x00"), "stream PROTOCOL_ERROR RFC 7540 5.3.1"},
		{"4 bytes", raw(frame.TypePriority, 0, 5, zeros(4)), "stream FRAME_SIZE_ERROR 6.3"},
		{"6 bytes", raw(frame.TypePriority, 0, 5, zeros(6)), "stream FRAME_SIZE_ERROR 6.3"},
		{"stream 0", raw(frame.TypePriority, 0, 0, zeros(5)), "conn PROTOCOL_ERROR 6.3"},
		{"4 bytes on stream 0", raw(frame.TypePriority, 0, 0, zeros(4)), "conn PROTOCOL_ERROR 6.3"},
	}},
	{"6.4 RST_STREAM", []frameCase{
		{"plain", raw(frame.TypeRSTStream, 0, 1, "\x00\x00\x00\x08"), "RST_STREAM 1: CANCEL"},
		{"unknown code", raw(frame.TypeRSTStream, 0, 1, "\xff\xff\xff\xff"), "RST_STREAM 1: 0xffffffff"},
		{"3 bytes", raw(frame.TypeRSTStream, 0, 1, zeros(3)), "conn FRAME_SIZE_ERROR 6.4"},
		{"5 bytes", raw(frame.TypeRSTStream, 0, 1, zeros(5)), "conn FRAME_SIZE_ERROR 6.4"},
		{"stream 0", raw(frame.TypeRSTStream, 0, 0, zeros(4)), "conn PROTOCOL_ERROR 6.4"},
	}},
	{"6.5 SETTINGS", []frameCase{
		{"empty", raw(frame.TypeSettings, 0, 0, ""), "SETTINGS 0: ack=false"},
		{"ACK", raw(frame.TypeSettings, ack, 0, ""), "SETTINGS 0: ack=true"},
		{"ACK with payload", raw(frame.TypeSettings, ack, 0, entry(1, 1)), "conn FRAME_SIZE_ERROR 6.5"},
		{"ACK with one byte", raw(frame.TypeSettings, ack, 0, "a"), "conn FRAME_SIZE_ERROR 6.5"},
		{"in order, one twice", raw(frame.TypeSettings, 0, 0, entry(4, 2)+entry(3, 7)+entry(4, 1)), "SETTINGS 0: ack=false 4=2 3=7 4=1"},
		{"5 bytes", raw(frame.TypeSettings, 0, 0, zeros(5)), "conn FRAME_SIZE_ERROR 6.5"},
		{"7 bytes", raw(frame.TypeSettings, 0, 0, zeros(7)), "conn FRAME_SIZE_ERROR 6.5"},
		{"on a stream", raw(frame.TypeSettings, 0, 1, ""), "conn PROTOCOL_ERROR 6.5"},
		{"ACK on a stream", raw(frame.TypeSettings, ack, 1, ""), "conn PROTOCOL_ERROR 6.5"},
		{"ACK with payload on a stream", raw(frame.TypeSettings, ack, 1, entry(1, 1)), "conn PROTOCOL_ERROR 6.5"},
	}},
	{"6.5.2 Defined Settings", []frameCase{
		{"HEADER_TABLE_SIZE", raw(frame.TypeSettings, 0, 0, entry(1, 1<<32-1)), "SETTINGS 0: ack=false 1=4294967295"},
		{"ENABLE_PUSH 0", raw(frame.TypeSettings, 0, 0, entry(2, 0)), "SETTINGS 0: ack=false 2=0"},
		{"ENABLE_PUSH 1", raw(frame.TypeSettings, 0, 0, entry(2, 1)), "SETTINGS 0: ack=false 2=1"},
		{"ENABLE_PUSH 2", raw(frame.TypeSettings, 0, 0, entry(2, 2)), "conn PROTOCOL_ERROR 6.5.2"},
		{"MAX_CONCURRENT_STREAMS", raw(frame.TypeSettings, 0, 0, entry(3, 1<<32-1)), "SETTINGS 0: ack=false 3=4294967295"},
		{"INITIAL_WINDOW_SIZE 0", raw(frame.TypeSettings, 0, 0, entry(4, 0)), "SETTINGS 0: ack=false 4=0"},
		{"INITIAL_WINDOW_SIZE 2^31-1", raw(frame.TypeSettings, 0, 0, entry(4, 1<<31-1)), "SETTINGS 0: ack=false 4=2147483647"},
		{"INITIAL_WINDOW_SIZE 2^31", raw(frame.TypeSettings, 0, 0, entry(4, 1<<31)), "conn FLOW_CONTROL_ERROR 6.5.2"},
		{"MAX_FRAME_SIZE below 2^14", raw(frame.TypeSettings, 0, 0, entry(5, 16383)), "conn PROTOCOL_ERROR 6.5.2"},
		{"MAX_FRAME_SIZE 2^14", raw(frame.TypeSettings, 0, 0, entry(5, 16384)), "SETTINGS 0: ack=false 5=16384"},
		{"MAX_FRAME_SIZE 2^24-1", raw(frame.TypeSettings, 0, 0, entry(5, 1<<24-1)), "SETTINGS 0: ack=false 5=16777215"},
		{"MAX_FRAME_SIZE 2^24", raw(frame.TypeSettings, 0, 0, entry(5, 1<<24)), "conn PROTOCOL_ERROR 6.5.2"},
		{"MAX_HEADER_LIST_SIZE", raw(frame.TypeSettings, 0, 0, entry(6, 0)), "SETTINGS 0: ack=false 6=0"},
		{"unknown settings", raw(frame.TypeSettings, 0, 0, entry(0, 1<<32-1)+entry(7, 1<<32-1)+entry(0xffff, 1<<32-1)), "SETTINGS 0: ack=false 0=4294967295 7=4294967295 65535=4294967295"},
		{"the second is bad", raw(frame.TypeSettings, 0, 0, entry(3, 7)+entry(5, 0)), "conn PROTOCOL_ERROR 6.5.2"},
	}},
	{"6.6 PUSH_PROMISE", []frameCase{
		{"from a client", raw(frame.TypePushPromise, 0x4, 1, "\x00\x00\x00\x02abc"), "conn PROTOCOL_ERROR 8.4"},
		{"empty, on stream 0", raw(frame.TypePushPromise, 0, 0, ""), "conn PROTOCOL_ERROR 8.4"},
	}},
	{"6.7 PING", []frameCase{
		{"plain", raw(frame.TypePing, 0, 0, "abcdefgh"), `PING 0: ack=false "abcdefgh"`},
		{"ACK", raw(frame.TypePing, ack, 0, "abcdefgh"), `PING 0: ack=true "abcdefgh"`},
		{"7 bytes", raw(frame.TypePing, 0, 0, zeros(7)), "conn FRAME_SIZE_ERROR 6.7"},
		{"9 bytes", raw(frame.TypePing, 0, 0, zeros(9)), "conn FRAME_SIZE_ERROR 6.7"},
		{"ACK of 0 bytes", raw(frame.TypePing, ack, 0, ""), "conn FRAME_SIZE_ERROR 6.7"},
		{"on a stream", raw(frame.TypePing, 0, 1, zeros(8)), "conn PROTOCOL_ERROR 6.7"},
		{"7 bytes on a stream", raw(frame.TypePing, 0, 1, zeros(7)), "conn PROTOCOL_ERROR 6.7"},
	}},
	{"6.8 GOAWAY", []frameCase{
		{"plain", raw(frame.TypeGoAway, 0, 0, "\x00\x00\x00\x05\x00\x00\x00\x0b"), `GOAWAY 0: 5 ENHANCE_YOUR_CALM ""`},
		{"reserved bit, debug data", raw(frame.TypeGoAway, 0, 0, "\xff\xff\xff\xff\x00\x00\x00\x0eabc"), `GOAWAY 0: 2147483647 0xe "abc"`},
		{"7 bytes", raw(frame.TypeGoAway, 0, 0, zeros(7)), "conn FRAME_SIZE_ERROR 4.2"},
		{"on a stream", raw(frame.TypeGoAway, 0, 1, zeros(8)), "conn PROTOCOL_ERROR 6.8"},
	}},
	{"6.9 WINDOW_UPDATE", []frameCase{
		{"1", raw(frame.TypeWindowUpdate, 0, 1, "\x00\x00\x00\x01"), "WINDOW_UPDATE 1: 1"},
		{"of the connection", raw(frame.TypeWindowUpdate, 0, 0, "\x00\x00\x00\x01"), "WINDOW_UPDATE 0: 1"},
		{"highest, reserved bit", raw(frame.TypeWindowUpdate, 0, 1, "\xff\xff\xff\xff"), "WINDOW_UPDATE 1: 2147483647"},
		{"0", raw(frame.TypeWindowUpdate, 0, 1, zeros(4)), "stream PROTOCOL_ERROR 6.9"},
		{"0 but for the reserved bit", raw(frame.TypeWindowUpdate, 0, 1, "\x80\x00\x00\x00"), "stream PROTOCOL_ERROR 6.9"},
		{"0 on the connection", raw(frame.TypeWindowUpdate, 0, 0, zeros(4)), "conn PROTOCOL_ERROR 6.9"},
		{"3 bytes", raw(frame.TypeWindowUpdate, 0, 1, zeros(3)), "conn FRAME_SIZE_ERROR 6.9"},
		{"5 bytes", raw(frame.TypeWindowUpdate, 0, 0, zeros(5)), "conn FRAME_SIZE_ERROR 6.9"},
	}},
	{"6.10 CONTINUATION", []frameCase{
		{"plain", raw(frame.TypeContinuation, 0x4, 1, "abc"), `CONTINUATION 1: "abc"`},
		{"empty", raw(frame.TypeContinuation, 0, 1, ""), `CONTINUATION 1: ""`},
		{"stream 0", raw(frame.TypeContinuation, 0, 0, "abc"), "conn PROTOCOL_ERROR 6.10"},
	}},
	{"RFC 8441 3 SETTINGS_ENABLE_CONNECT_PROTOCOL", []frameCase{
		{"0", raw(frame.TypeSettings, 0, 0, entry(8, 0)), "SETTINGS 0: ack=false 8=0"},
		{"1", raw(frame.TypeSettings, 0, 0, entry(8, 1)), "SETTINGS 0: ack=false 8=1"},
		{"2", raw(frame.TypeSettings, 0, 0, entry(8, 2)), "conn PROTOCOL_ERROR RFC 8441 3"},
	}},
	{"RFC 9218 2.1 SETTINGS_NO_RFC7540_PRIORITIES", []frameCase{
		{"0", raw(frame.TypeSettings, 0, 0, entry(9, 0)), "SETTINGS 0: ack=false 9=0"},
		{"1", raw(frame.TypeSettings, 0, 0, entry(9, 1)), "SETTINGS 0: ack=false 9=1"},
		{"2", raw(frame.TypeSettings, 0, 0, entry(9, 2)), "conn PROTOCOL_ERROR RFC 9218 2.1"},
	}},
	{"RFC 9218 7.1 PRIORITY_UPDATE", []frameCase{
		{"plain", raw(frame.TypePriorityUpdate, 0, 0, "\x00\x00\x00\x03u=1, i"), `PRIORITY_UPDATE 0: 3 "u=1, i"`},
		{"no field value", raw(frame.TypePriorityUpdate, 0, 0, "\x00\x00\x00\x03"), `PRIORITY_UPDATE 0: 3 ""`},
		{"reserved bit", raw(frame.TypePriorityUpdate, 0, 0, "\xff\xff\xff\xff"), `PRIORITY_UPDATE 0: 2147483647 ""`},
		{"3 bytes", raw(frame.TypePriorityUpdate, 0, 0, zeros(3)), "conn FRAME_SIZE_ERROR 4.2"},
		{"on a stream", raw(frame.TypePriorityUpdate, 0, 1, "\x00\x00\x00\x03"), "conn PROTOCOL_ERROR RFC 9218 7.1"},
		{"for stream 0", raw(frame.TypePriorityUpdate, 0, 0, zeros(4)), "conn PROTOCOL_ERROR RFC 9218 7.1"},
		{"for stream 0 but for the reserved bit", raw(frame.TypePriorityUpdate, 0, 0, "\x80\x00\x00\x00"), "conn PROTOCOL_ERROR RFC 9218 7.1"},
		{"for a push stream", raw(frame.TypePriorityUpdate, 0, 0, "\x00\x00\x00\x02"), "conn PROTOCOL_ERROR RFC 9218 7.1"},
	}},
}

func TestRFC9113(t *testing.T) {
	for _, r := range rules {
		for _, c := range r.cases {
			t.Run(r.section+": "+c.name, func(t *testing.T) {
				if got := read(c.frame); got != c.want {
					t.Errorf("%.80q: %.200s, want %.200s", c.frame, got, c.want)
				}
			})
		}
	}
}

// RFC 9113 §4.3: a stream error must not cost the connection its compression
// state.
func TestStreamErrorKeepsFragment(t *testing.T) {
	b := raw(frame.TypeHeaders, prio|padded, 5, "\x01\x00\x00\x00\x05\x0fabc\x00")
	fragment, p, e := frame.ParseHeaders(frame.ParseHeader(b), b[frame.HeaderSize:])
	if e == nil || !e.Stream || string(fragment) != "abc" || p.DependsOn != 5 {
		t.Errorf("fragment %q, %+v, %v; want %q with a stream error", fragment, p, e, "abc")
	}
}

// Names go to logs and counters: they are the RFCs'.
func TestNames(t *testing.T) {
	codes := []string{
		"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
		"FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
		"INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED", "0xe",
	}
	for i, want := range codes {
		if got := frame.ErrCode(i).String(); got != want {
			t.Errorf("ErrCode %d: %s, want %s", i, got, want)
		}
	}
	types := []string{
		"DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE",
		"CONTINUATION", "0xa", "0xb", "0xc", "0xd", "0xe", "0xf", "PRIORITY_UPDATE", "0x11",
	}
	for i, want := range types {
		if got := frame.Type(i).String(); got != want {
			t.Errorf("Type %d: %s, want %s", i, got, want)
		}
	}
	settings := []string{
		"0x0", "SETTINGS_HEADER_TABLE_SIZE", "SETTINGS_ENABLE_PUSH", "SETTINGS_MAX_CONCURRENT_STREAMS",
		"SETTINGS_INITIAL_WINDOW_SIZE", "SETTINGS_MAX_FRAME_SIZE", "SETTINGS_MAX_HEADER_LIST_SIZE", "0x7",
		"SETTINGS_ENABLE_CONNECT_PROTOCOL", "SETTINGS_NO_RFC7540_PRIORITIES", "0xa",
	}
	for i, want := range settings {
		if got := frame.SettingID(i).String(); got != want {
			t.Errorf("SettingID %d: %s, want %s", i, got, want)
		}
	}
	e := frame.ParseHeader(raw(frame.TypeSettings, ack, 0, "a")).Check()
	if got, want := e.Error(), "FRAME_SIZE_ERROR: 6.5: SETTINGS with ACK and a payload"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
