package qpack

// EncoderStream reads the peer's encoder stream (RFC 9204 §4.3). As the table
// that we allow has a capacity of 0, the peer MUST NOT send anything on it
// (§3.2.3). To set the capacity to 0 once more is taken all the same: some do,
// and it changes nothing. The zero value is ready. One goroutine at a time may
// use it.
type EncoderStream struct{ updates uint8 }

// Write takes what comes next on the stream, cut anywhere. An *Error is final:
// the connection ends with QPACK_ENCODER_STREAM_ERROR.
func (s *EncoderStream) Write(p []byte) error {
	for _, c := range p {
		switch {
		case c >= 0x40: // RFC 9204 §4.3.2, §4.3.3
			return errInsertion
		case c < 0x20: // §4.3.4
			return errDuplicate
		case c != 0x20: // §4.3.1: MUST NOT exceed the limit. 0 is one octet, always.
			return errCapacity
		case s.updates == maxCapacityUpdates:
			return errCapacityMany
		}
		s.updates++
	}
	return nil
}
