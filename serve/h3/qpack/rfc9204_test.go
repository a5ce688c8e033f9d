package qpack

import (
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	quic "github.com/quic-go/qpack"

	"github.com/penstock-edge/penstock/serve/h2/hpack"
)

// unhex reads hexadecimal digits with spaces between them.
func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// fieldsOf reads "name: value" lines; the first colon of a pseudo-field is its own.
func fieldsOf(lines ...string) (fields []hpack.Field) {
	for _, l := range lines {
		i := strings.Index(l[1:], ": ") + 1
		fields = append(fields, hpack.Field{Name: l[:i], Value: l[i+2:]})
	}
	return fields
}

// decodeQUIC is what quic-go makes of a section. It does not tell what is sensitive.
func decodeQUIC(block []byte) (fields []hpack.Field, err error) {
	for next := quic.NewDecoder().Decode(block); ; {
		f, err := next()
		if errors.Is(err, io.EOF) {
			return fields, nil
		}
		if err != nil {
			return fields, err
		}
		fields = append(fields, hpack.Field{Name: f.Name, Value: f.Value})
	}
}

// TestRFC9204 holds the examples of Appendix B: all but the first need a table.
func TestRFC9204(t *testing.T) {
	t.Run("B.1 literal field line with name reference", func(t *testing.T) {
		const block = "0000 510b 2f69 6e64 6578 2e68 746d 6c"
		want := fieldsOf(":path: /index.html")
		if got, over, err := Decode(nil, unhex(t, block), hpack.Limits{}); err != nil || over || !slices.Equal(got, want) {
			t.Errorf("got %v, %v, %v, want %v", got, over, err, want)
		}
	})
	for _, tt := range []struct {
		name, stream, block string
		want                *Error
	}{
		{"B.2 dynamic table", "request", "0381 10 11", errInsert},
		{"B.4 duplicate", "request", "0500 80 c1 81", errInsert},
		{"B.2 set capacity", "encoder", "3fbd01", errCapacity},
		{"B.2 insert with name reference", "encoder", "c00f 7777772e6578616d706c652e636f6d", errInsertion},
		{"B.3 speculative insert", "encoder", "4a63 7573746f6d2d6b6579 0c 637573746f6d2d76616c7565", errInsertion},
		{"B.4 duplicate", "encoder", "02", errDuplicate},
		{"B.5 dynamic table insert", "encoder", "810d 637573746f6d2d76616c756532", errInsertion},
		{"B.2 section acknowledgment", "decoder", "84", errAcknowledgment},
		{"B.3 insert count increment", "decoder", "01", errIncrement},
		{"B.4 stream cancellation", "decoder", "48", nil},
	} {
		t.Run(tt.name+", "+tt.stream+" stream", func(t *testing.T) {
			var err error
			switch in := unhex(t, tt.block); tt.stream {
			case "encoder":
				err = new(EncoderStream).Write(in)
			case "decoder":
				err = new(DecoderStream).Write(in)
			default:
				_, _, err = Decode(nil, in, hpack.Limits{})
			}
			if tt.want == nil && err != nil || tt.want != nil && err != tt.want {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}
