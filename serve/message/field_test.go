package message

import (
	"net/http"
	"reflect"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func TestTrailerOf(t *testing.T) {
	got, ok := TrailerOf(lines("x-t", "1", "authorization", "evil", "x-u", "", "host", "evil", "x-t", "2"))
	if want := (http.Header{"X-T": {"1", "2"}, "X-U": {""}}); !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("forbidden ones are dropped (H1-7): %v %v, want %v", got, ok, want)
	}
	for name, pair := range map[string][2]string{
		"a pseudo-field": {":path", "/"}, "upper case": {"X-t", "1"}, "no name": {"", "1"}, "LF in a value": {"x-t", "1\n2"},
		"white space at the end": {"x-t", "1 "}, "a forbidden one with NUL": {"host", "\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			_, ok := TrailerOf(lines("x-a", "1", pair[0], pair[1]))
			servetest.Want(t, "is well-formed", ok, false)
		})
	}
}

func TestClean(t *testing.T) {
	for _, tt := range []struct {
		name, value, clean string
		altered, sent      bool
	}{
		{"X-A", "a b", "a b", false, true},
		{"X-A", "", "", false, true},
		{"x-a", " \ta\t ", "a", false, true},
		{"X-A", "\t", "", false, true},
		{"X-A", "a\r\nSet-Cookie: b", "a  Set-Cookie: b", true, true},
		{"X-A", "\x00\x7fa\n", "a", true, true},
		{"X-A", "\xc3\xa9", "\xc3\xa9", false, true},
		{"Bad Name", "a", "", true, false},
		{"", "a", "", true, false},
		{":status", "200", "", true, false},
		{"X:A", "a", "", true, false},
	} {
		clean, altered, sent := Clean(tt.name, tt.value)
		if clean != tt.clean || altered != tt.altered || sent != tt.sent {
			t.Errorf("Clean(%q, %q) = %q, %v, %v, want %q, %v, %v", tt.name, tt.value, clean, altered, sent, tt.clean, tt.altered, tt.sent)
		}
	}
	value := "a value"
	if got := testing.AllocsPerRun(100, func() { Clean("X-A", value) }); got > 0 {
		t.Errorf("%v allocations for a good field", got)
	}
}
