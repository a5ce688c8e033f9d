package qpack

import (
	"strings"
	"testing"
)

func TestEncoderStream(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     *Error
	}{
		{"nothing", "", nil},
		{"4.3.1 capacity 0", "20", nil},
		{"capacity often", strings.Repeat("20", maxCapacityUpdates), nil},
		{"capacity too often", strings.Repeat("20", maxCapacityUpdates+1), errCapacityMany},
		{"4.3.1 capacity 1", "21", errCapacity},
		{"4.3.1 capacity of more octets", "3f", errCapacity},
		{"4.3.2 insert with static name", "c0", errInsertion},
		{"4.3.2 insert with dynamic name", "80", errInsertion},
		{"4.3.3 insert with literal name", "40", errInsertion},
		{"4.3.4 duplicate", "00", errDuplicate},
		{"4.3.4 duplicate of more octets", "1f", errDuplicate},
		{"error behind what is right", "202021", errCapacity},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testStream(t, func() writer { return new(EncoderStream) }, unhex(t, tt.in), tt.want)
		})
	}
}

func TestDecoderStream(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     *Error
	}{
		{"nothing", "", nil},
		{"4.4.2 cancellations", "40 44 7e", nil},
		{"4.4.2 cancellation of more octets", "7f00 7f8001 44", nil},
		{"4.4.2 cancellation begins", "7f80", nil},
		{"4.4.2 the largest cancellation", "7f c0ffffffffffffff3f 44", nil},
		{"4.1.1 above it", "7f c1ffffffffffffff3f", errInteger},
		{"4.1.1 leading zeros", "7f 808080808080808000 44", nil},
		{"4.1.1 ten continuation octets", "7f 80808080808080808000", errInteger},
		{"4.4.1 acknowledgment", "80", errAcknowledgment},
		{"4.4.1 acknowledgment behind a cancellation", "7f8000 ff", errAcknowledgment},
		{"4.4.3 increment by 0", "00", errIncrement},
		{"4.4.3 increment", "01", errIncrement},
		{"4.4.3 increment of more octets", "3f", errIncrement},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testStream(t, func() writer { return new(DecoderStream) }, unhex(t, tt.in), tt.want)
		})
	}
}

type writer interface{ Write(p []byte) error }

// testStream: however in is cut, the verdict is the same, and comes with the
// first octets that show it.
func testStream(t *testing.T, newStream func() writer, in []byte, want *Error) {
	t.Helper()
	verdict := func(err error, how string) {
		t.Helper()
		if want == nil && err != nil || want != nil && err != want {
			t.Errorf("%x, %s: got %v, want %v", in, how, err, want)
		}
	}
	verdict(newStream().Write(in), "whole")
	for i := range in {
		s := newStream()
		err := s.Write(in[:i])
		if err == nil {
			err = s.Write(in[i:])
		}
		verdict(err, "in two")
	}
	s := newStream()
	var err error
	for i := 0; i < len(in) && err == nil; i++ {
		err = s.Write(in[i : i+1])
	}
	verdict(err, "by octets")
}

func TestStreamAllocs(t *testing.T) {
	var s DecoderStream
	in := unhex(t, "44 7f8001 44")
	if got := testing.AllocsPerRun(100, func() {
		if err := s.Write(in); err != nil {
			t.Error(err)
		}
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}
