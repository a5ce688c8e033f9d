package wire_test

import (
	"bytes"
	"testing"

	"github.com/penstock-edge/penstock/serve/h1/wire"
)

// pieces decodes src in parts that end at cuts, in place, as the client does: the
// first data where it lies, the rest moved up behind it.
func pieces(src []byte, gather bool, cuts ...int) (data []byte, used int, done bool, reason string, d *wire.Chunked) {
	d = new(wire.Chunked)
	d.Reset(defaults())
	at := 0
	for _, end := range append(cuts, len(src)) {
		part := bytes.Clone(src[at:end])
		for len(part) > 0 && !done {
			piece, n, fin, err := d.Piece(part)
			data = append(data, piece...)
			part, at, done = part[n:], at+n, fin
			if gather && err == nil && !done {
				var nd, ns int
				nd, ns, done, err = d.Decode(part, part)
				data = append(data, part[:nd]...)
				part, at = part[ns:], at+ns
			}
			if err != nil {
				return data, at, false, err.Error(), d
			}
		}
	}
	return data, at, done, "", d
}

// FuzzChunkedPiece: Piece gives what Decode gives, whole and cut, alone and mixed
// with Decode in place.
func FuzzChunkedPiece(f *testing.F) {
	for _, s := range []string{
		"5\r\nhello\r\n0\r\n\r\nnext", "1\r\na\r\n2;x=y\r\nbc\r\n0\r\nX: y\r\n\r\n", "3\r\nabcd\r\n", "0\r\n\r\n", "5\r\nhel", "z",
	} {
		f.Add([]byte(s), uint16(3), uint16(7))
	}
	f.Fuzz(func(t *testing.T, src []byte, a, b uint16) {
		want := chunkDecode(t, defaults(), string(src), len(src)+1)
		lo, hi := min(int(a), len(src)), min(int(b), len(src))
		lo, hi = min(lo, hi), max(lo, hi)
		for _, gather := range []bool{false, true} {
			for _, cuts := range [][]int{nil, {lo}, {lo, hi}} {
				data, used, done, reason, d := pieces(src, gather, cuts...)
				if string(data) != want.data || done != want.done || done && used != want.used || reason != want.reason {
					t.Fatalf("gather %v, cuts %v: %q %d %v %q, want %+v", gather, cuts, data, used, done, reason, want)
				}
				if done && len(trailerOf(d)) != len(want.trailer) {
					t.Fatalf("trailer %q, want %q", trailerOf(d), want.trailer)
				}
			}
		}
	})
}

// TestPieceIsPartOfInput: nothing is copied.
func TestPieceIsPartOfInput(t *testing.T) {
	var d wire.Chunked
	d.Reset(defaults())
	src := []byte("5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n")
	piece, n, done, err := d.Piece(src)
	if string(piece) != "hello" || n != 8 || done || err != nil || &piece[0] != &src[3] {
		t.Fatalf("%q %d %v %v, want the bytes where they are", piece, n, done, err)
	}
	piece, m, done, err := d.Piece(src[n:])
	if string(piece) != "you" || done || err != nil {
		t.Fatalf("%q %v %v", piece, done, err)
	}
	if piece, _, done, err = d.Piece(src[n+m:]); len(piece) != 0 || !done || err != nil {
		t.Fatalf("%q %v %v, want the end", piece, done, err)
	}
}
