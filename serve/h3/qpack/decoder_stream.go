package qpack

// DecoderStream reads the peer's decoder stream (RFC 9204 §4.4). We never insert
// and never refer, so there is nothing to acknowledge; what is left is that a
// stream was cancelled, which means nothing to us. The zero value is ready. One
// goroutine at a time may use it.
type DecoderStream struct {
	id     integer // of a cancelled stream
	within bool    // an instruction whose end is still to come
}

// Write takes what comes next on the stream, cut anywhere. An *Error is final:
// the connection ends with QPACK_DECODER_STREAM_ERROR.
func (s *DecoderStream) Write(p []byte) error {
	for _, c := range p {
		switch {
		case s.within:
			more, err := s.id.add(c)
			if err != nil {
				return err
			}
			s.within = more
		case c >= 0x80: // RFC 9204 §4.4.1: for a section without references MUST be an error
			return errAcknowledgment
		case c < 0x40: // §4.4.3: beyond what was sent, or by 0, MUST be an error
			return errIncrement
		case c == 0x40|cancellation: // §4.4.2, with more octets to come
			s.id, s.within = integer{sum: cancellation}, true
		}
	}
	return nil
}

// cancellation is the prefix of the stream in a cancellation, if all ones (RFC
// 9204 §4.4.2).
const cancellation = 1<<6 - 1
