package wire

import (
	"github.com/penstock-edge/penstock/serve/semantics"
)

// Chunked decodes a chunked body (RFC 9112 §7.1). It is a state machine that
// can stop at any byte; after an error it stays in error, and nobody looks for
// the next chunk (rule H1-4).
//
//	size -> (bws -> ext ->) sizeLF -> data -> dataCR -> dataLF -> size
//	            0 -> sizeLF -> trailer -> done
type Chunked struct {
	lim     *Limits
	state   chunkState
	digits  int
	left    uint64 // of the present chunk
	line    int    // bytes of the present size line
	excess  int    // bytes that are not data, beyond the allowance
	trailer []byte // raw lines, without their CRLF joined: see ends
	ends    []int
	err     error
}

type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkBWS
	chunkExt
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	chunkTrailer
	chunkTrailerLF
	chunkDone
)

const (
	// A chunk may cost 16 bytes and twice its data in framing, the rest adds
	// up to at most this (rule H1-6; net/http's figures after CVE-2023-39326).
	chunkAllowance = 16
	maxChunkExcess = 16 << 10
	// maxSizeDigits keep a size below 2^63 with room for leading zeros.
	maxSizeDigits = 16
)

// Reset begins a new body.
func (d *Chunked) Reset(lim *Limits) {
	*d = Chunked{lim: lim, trailer: d.trailer[:0], ends: d.ends[:0]}
}

// Decode consumes bytes of src and copies chunk data to dst. It returns when
// src is used up, dst is full, or the body ends (done): what follows in src is
// the next message. An error is an *Error and final.
func (d *Chunked) Decode(dst, src []byte) (nd, ns int, done bool, err error) {
	if d.err != nil {
		return 0, 0, false, d.err
	}
	for ns < len(src) && d.state != chunkDone {
		if d.state == chunkData {
			n := copy(dst[nd:], src[ns:min(uint64(len(src)), uint64(ns)+d.left)])
			nd, ns, d.left = nd+n, ns+n, d.left-uint64(n)
			if d.left == 0 {
				d.state = chunkDataCR
			} else if n == 0 {
				break // dst is full
			}
			continue
		}
		if e := d.step(src[ns]); e != nil {
			d.err = e
			return nd, ns, false, e
		}
		ns++
	}
	return nd, ns, d.state == chunkDone, nil
}

// Piece is Decode without a copy: it consumes bytes of src up to the next data,
// and returns as much of that as is there, a part of src. An empty piece without
// done or an error: src is used up.
func (d *Chunked) Piece(src []byte) (piece []byte, ns int, done bool, err error) {
	if d.err != nil {
		return nil, 0, false, d.err
	}
	for ns < len(src) && d.state != chunkDone {
		if d.state == chunkData {
			end := ns + int(min(uint64(len(src)-ns), d.left))
			if d.left -= uint64(end - ns); d.left == 0 {
				d.state = chunkDataCR
			}
			return src[ns:end:end], end, false, nil
		}
		if e := d.step(src[ns]); e != nil {
			d.err = e
			return nil, ns, false, e
		}
		ns++
	}
	return nil, ns, d.state == chunkDone, nil
}

// step takes one byte that is not data.
func (d *Chunked) step(c byte) *Error {
	switch d.state {
	case chunkSize:
		return d.size(c)
	case chunkBWS, chunkExt:
		return d.extension(c)
	case chunkSizeLF:
		if c != '\n' {
			return errBareLF
		}
		return d.begin()
	case chunkDataCR:
		if c != '\r' {
			return errChunkEnd
		}
		d.state = chunkDataLF
	case chunkDataLF:
		if c != '\n' {
			return errChunkEnd
		}
		d.state, d.digits, d.left, d.line = chunkSize, 0, 0, 0
	case chunkTrailer:
		return d.trailerByte(c)
	case chunkTrailerLF:
		if c != '\n' {
			return errBareLF
		}
		return d.trailerLine()
	case chunkData, chunkDone: // Decode deals with these
	}
	return nil
}

// size: 1*HEXDIG, then an extension or the end of the line.
func (d *Chunked) size(c byte) *Error {
	d.line++
	if v, ok := unhex(c); ok {
		if d.digits++; d.digits > maxSizeDigits || d.left >= 1<<59 {
			return errChunkSize
		}
		d.left = d.left<<4 | v
		return nil
	}
	if d.digits == 0 {
		return errChunkSize
	}
	switch c {
	case '\r':
		d.state = chunkSizeLF
	case ';':
		d.state = chunkExt
	case ' ', '\t':
		d.state = chunkBWS // obsolete, but legal before ";" (RFC 9112 §7.1.1)
	default:
		return errChunkSize
	}
	return nil
}

// extension passes over chunk extensions, which a recipient MUST ignore if it
// does not know them (RFC 9112 §7.1.1). Their bytes are those of rule H1-5.
func (d *Chunked) extension(c byte) *Error {
	d.line++
	switch {
	case d.state == chunkBWS && c == ';':
		d.state = chunkExt
	case d.state == chunkBWS && c != ' ' && c != '\t':
		return errChunkSize // "3 a", and "3 " before the line's end, are no chunk-size
	case c == '\r':
		d.state = chunkSizeLF
	case c != ' ' && c != '\t' && (c < 0x21 || c > 0x7e):
		return errChunkExt
	}
	if d.overhead() > maxChunkExcess {
		return errChunkOverhead
	}
	return nil
}

// overhead is the excess with that of the present chunk: of its frame, LF and
// the CRLF behind the data are still to come. Much data pays for earlier
// frames, as in net/http.
func (d *Chunked) overhead() int {
	frame := d.line + len("\n\r\n")
	return max(0, d.excess+frame-chunkAllowance-2*int(min(d.left, 1<<28)))
}

func unhex(c byte) (uint64, bool) {
	switch {
	case '0' <= c && c <= '9':
		return uint64(c - '0'), true
	case 'a' <= c && c <= 'f':
		return uint64(c-'a') + 10, true
	case 'A' <= c && c <= 'F':
		return uint64(c-'A') + 10, true
	}
	return 0, false
}

// begin starts the data of a chunk, or the trailer section.
func (d *Chunked) begin() *Error {
	if d.excess = d.overhead(); d.excess > maxChunkExcess {
		return errChunkOverhead
	}
	d.state = chunkData
	if d.left == 0 {
		d.state = chunkTrailer
	}
	return nil
}

func (d *Chunked) trailerByte(c byte) *Error {
	if c == '\r' {
		d.state = chunkTrailerLF
		return nil
	}
	if c == '\n' {
		return errBareLF
	}
	if d.trailer = append(d.trailer, c); len(d.trailer)+2*len(d.ends)+2 > d.lim.TrailerBytes {
		return errTrailerLarge
	}
	return nil
}

// trailerLine checks one line by the header's grammar (rule H1-7).
func (d *Chunked) trailerLine() *Error {
	from := 0
	if len(d.ends) > 0 {
		from = d.ends[len(d.ends)-1]
	}
	if len(d.trailer) == from {
		d.state = chunkDone
		return nil
	}
	if len(d.ends) == d.lim.Trailers {
		return errTrailerLarge
	}
	if _, _, e := splitField(d.trailer[from:]); e != nil {
		return e
	}
	d.ends = append(d.ends, len(d.trailer))
	d.state = chunkTrailer
	return nil
}

// Trailer calls yield with each field of the trailer section that may be used:
// those that frame, route, authenticate or describe the content are dropped
// (RFC 9110 §6.5.1). name and value are valid until Reset.
func (d *Chunked) Trailer(yield func(name, value []byte)) {
	from := 0
	for _, to := range d.ends {
		name, value, _ := splitField(d.trailer[from:to])
		from = to
		if !semantics.ForbiddenTrailer(string(name)) {
			yield(name, value)
		}
	}
}
