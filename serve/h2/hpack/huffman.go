package hpack

import (
	"encoding/binary"
	"slices"
)

// huffmanBits holds the code lengths of RFC 7541 Appendix B. The code is
// canonical (within one length, codes ascend with the symbols), so the codes
// follow from the lengths.
var huffmanBits = [256]uint8{
	13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
	28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
	6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
	5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
	13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
	7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
	15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
	6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
	20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
	24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
	22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
	21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
	26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
	19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
	20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
	26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
}

const (
	huffmanEOS     = 256
	huffmanMinBits = 5
	huffmanMaxBits = 30
	// huffmanFast bits are looked at in one step: two symbols if their codes fit,
	// as those of most letters and digits do. The table has 16 KiB; one symbol
	// a step, in 2 KiB, takes half as long again (BenchmarkHuffmanDecode).
	huffmanFast = 12
)

// huffman is made of huffmanBits once.
var huffman = newHuffmanCode()

type huffmanCode struct {
	codes [256]huffmanSymbol
	fast  [1 << huffmanFast]huffmanStep
	long  [huffmanMaxBits + 1]huffmanLength
	// symbols are in the order of their codes; EOS is the last.
	symbols [huffmanEOS + 1]uint16
}

type huffmanSymbol struct {
	code uint32
	bits uint8
}

// huffmanStep is one or two symbols and the length of their codes. count is 0
// where the code is longer than huffmanFast.
type huffmanStep struct{ first, second, bits, count uint8 }

// huffmanLength is what decoding codes of one length takes, as they are
// consecutive numbers.
type huffmanLength struct {
	end   uint64 // the first code that is longer, left-aligned in 32 bits
	first uint32 // the first code of this length
	at    uint16 // where its symbol is
}

func newHuffmanCode() *huffmanCode {
	h := new(huffmanCode)
	code, n := uint32(0), 0
	for bits := uint8(1); bits <= huffmanMaxBits; bits++ {
		code <<= 1
		h.long[bits].first, h.long[bits].at = code, uint16(n)
		for s := range huffmanEOS + 1 {
			if s < huffmanEOS && huffmanBits[s] != bits || s == huffmanEOS && bits != huffmanMaxBits {
				continue
			}
			if h.symbols[n] = uint16(s); s < huffmanEOS {
				h.codes[s] = huffmanSymbol{code, bits}
			}
			code, n = code+1, n+1
		}
		h.long[bits].end = uint64(code) << (32 - bits)
	}
	for i := range h.fast {
		h.fast[i] = h.newStep(uint32(i) << (32 - huffmanFast))
	}
	return h
}

// newStep tells what begins with the huffmanFast bits at the top of window.
func (h *huffmanCode) newStep(window uint32) huffmanStep {
	first, bits := h.symbol(window, huffmanMinBits)
	if bits > huffmanFast {
		return huffmanStep{}
	}
	second, more := h.symbol(window<<bits, huffmanMinBits)
	if bits+more > huffmanFast {
		return huffmanStep{uint8(first), 0, uint8(bits), 1}
	}
	return huffmanStep{uint8(first), uint8(second), uint8(bits + more), 2}
}

// symbol finds the one whose code, of the given bits or more, begins window.
func (h *huffmanCode) symbol(window uint32, bits uint) (symbol uint16, _ uint) {
	for uint64(window) >= h.long[bits].end {
		bits++ // ends: the last end is beyond every window
	}
	l := &h.long[bits]
	return h.symbols[uint32(l.at)+window>>(32-bits)-l.first], bits
}

// AppendHuffmanDecoded appends what the Huffman code in src stands for: at most
// 8/5 of src's length. It fails on EOS and on padding that is longer than 7 bits
// or not all ones (RFC 7541 §5.2).
func AppendHuffmanDecoded(dst, src []byte) ([]byte, error) {
	out, err := huffman.decode(dst, src)
	if err != nil {
		return out, err // not below: a nil *Error is no nil error
	}
	return out, nil
}

// decode returns dst as it was, or moved, with an error.
//
// It keeps up to 64 bits of src in acc, from the top; n of them are known to
// be there. Bits beyond n may be there too: they are put in once more, which
// changes nothing.
func (h *huffmanCode) decode(dst, src []byte) ([]byte, *Error) {
	at := len(dst)
	// A step may write one octet in vain.
	dst = slices.Grow(dst, len(src)*8/huffmanMinBits+1)
	out := dst[:cap(dst)]
	acc, n := uint64(0), uint(0)
	for {
		switch {
		case len(src) >= 8:
			acc |= binary.BigEndian.Uint64(src) >> (n & 63)
			src = src[(63-n)>>3&7:]
			n |= 56
		case len(src) >= 4: // n is below 30
			acc |= uint64(binary.BigEndian.Uint32(src)) << ((32 - n) & 63)
			src = src[4:]
			n += 32
		default:
			at, err := h.decodeEnd(out, at, src, acc, n)
			if err != nil {
				return dst, err
			}
			return out[:at], nil
		}
		for n >= huffmanFast {
			step := &h.fast[acc>>(64-huffmanFast)]
			if step.count != 0 {
				pair := out[at : at+2]
				pair[0], pair[1] = step.first, step.second
				at += int(step.count)
				acc, n = acc<<(step.bits&63), n-uint(step.bits)
				continue
			}
			if n < huffmanMaxBits {
				break
			}
			symbol, bits := h.symbol(uint32(acc>>32), huffmanFast+1)
			if symbol == huffmanEOS {
				return dst, errHuffman
			}
			out[at] = byte(symbol)
			acc, n, at = acc<<bits, n-bits, at+1
		}
	}
}

// decodeEnd decodes what is in acc and the last three octets or less, and checks
// the padding. It returns the new end of out.
func (h *huffmanCode) decodeEnd(out []byte, at int, src []byte, acc uint64, n uint) (int, *Error) {
	for _, c := range src {
		acc |= uint64(c) << (56 - n)
		n += 8
	}
	for {
		// Behind the end there are ones, as padding has: no code ends in them.
		window := acc | ^uint64(0)>>n
		step := &h.fast[window>>(64-huffmanFast)]
		if step.count != 0 && uint(step.bits) <= n {
			out[at], out[at+1] = step.first, step.second
			acc, n, at = acc<<step.bits, n-uint(step.bits), at+int(step.count)
			continue
		}
		symbol, bits := h.symbol(uint32(window>>32), huffmanMinBits)
		if bits > n {
			break
		}
		if symbol == huffmanEOS {
			return 0, errHuffman
		}
		out[at] = byte(symbol)
		acc, n, at = acc<<bits, n-bits, at+1
	}
	// RFC 7541 §5.2: padding longer than 7 bits, or other than the most
	// significant bits of EOS, MUST be treated as a decoding error.
	if n > 7 || acc>>(64-n) != 1<<n-1 {
		return 0, errHuffman
	}
	return at, nil
}

// huffmanLen is the length of s in Huffman code.
func huffmanLen(s string) int {
	bits := 0
	for i := range len(s) {
		bits += int(huffmanBits[s[i]])
	}
	return (bits + 7) / 8
}

// AppendHuffman appends s in Huffman code, padded with ones (RFC 7541 §5.2).
func AppendHuffman(dst []byte, s string) []byte {
	codes := &huffman.codes
	acc, n := uint64(0), uint(0) // the last n bits of acc are still to be appended
	for i := range len(s) {
		c := &codes[s[i]]
		n += uint(c.bits)
		acc = acc<<(c.bits&63) | uint64(c.code)
		if n >= 32 {
			n &= 31 // a code has at most 30 bits
			dst = binary.BigEndian.AppendUint32(dst, uint32(acc>>n))
		}
	}
	for ; n >= 8; n -= 8 {
		dst = append(dst, byte(acc>>(n-8)))
	}
	if n > 0 {
		dst = append(dst, byte(acc<<(8-n))|byte(0xff>>n))
	}
	return dst
}
