package frame

import "slices"

// The identifiers of the settings that we know.
const (
	settingQPACKMaxTableCapacity = 0x1  // RFC 9204 §5
	settingMaxFieldSectionSize   = 0x6  // RFC 9114 §7.2.4.1
	settingQPACKBlockedStreams   = 0x7  // RFC 9204 §5
	settingEnableConnectProtocol = 0x8  // RFC 9220 §3
	settingH3Datagram            = 0x33 // RFC 9297 §2.1.1

	// These to 0x5 are of HTTP/2, and reserved (RFC 9114 §7.2.4.1).
	settingH2First = 0x2
	settingH2Last  = 0x5
)

// Settings are what one side tells the other. Its zero value is what holds for
// who has told nothing (RFC 9114 §7.2.4.2).
type Settings struct {
	// MaxFieldSectionSize is the largest field section that is wanted, as RFC 9114
	// §4.2.2 counts it. If zero, none is too large. A peer's 0 is told as 1: no
	// field fits either, each being 32 and more.
	MaxFieldSectionSize   uint64
	QPACKMaxTableCapacity uint64
	QPACKBlockedStreams   uint64
	EnableConnectProtocol bool
	H3Datagram            bool
}

// ParseSettings returns what the payload of a SETTINGS frame tells; what is
// unknown is ignored (RFC 9114 §7.2.4). The error is an *Error.
func ParseSettings(payload []byte) (Settings, error) {
	var s Settings
	var seen [maxSettings]uint64
	for i := 0; len(payload) > 0; i++ {
		id, n := ReadVarint(payload)
		value, m := ReadVarint(payload[n:])
		// RFC 9114 §7.1: a payload that ends before its fields do MUST be
		// H3_FRAME_ERROR. Without an identifier what is left has no value either.
		if m == 0 || n == 0 {
			return Settings{}, errSettingsSize
		}
		payload = payload[n+m:]
		if i == maxSettings {
			return Settings{}, errSettingsMany
		}
		// RFC 9114 §7.2.4: MUST NOT occur more than once; to refuse it is a MAY,
		// and spares us to say which of them holds.
		if slices.Contains(seen[:i], id) {
			return Settings{}, errSettingsTwice
		}
		seen[i] = id
		if err := s.set(id, value); err != nil {
			return Settings{}, err
		}
	}
	return s, nil
}

func (s *Settings) set(id, value uint64) *Error {
	switch id {
	case settingQPACKMaxTableCapacity:
		s.QPACKMaxTableCapacity = value
	case settingMaxFieldSectionSize:
		s.MaxFieldSectionSize = max(1, value)
	case settingQPACKBlockedStreams:
		s.QPACKBlockedStreams = value
	case settingEnableConnectProtocol:
		// RFC 8441 §3, as RFC 9220 §3 takes it over: MUST be 0 or 1.
		if value > 1 {
			return errConnectProtocol
		}
		s.EnableConnectProtocol = value == 1
	case settingH3Datagram:
		// RFC 9297 §2.1.1: other than 0 or 1 MUST be H3_SETTINGS_ERROR.
		if value > 1 {
			return errDatagram
		}
		s.H3Datagram = value == 1
	default:
		// RFC 9114 §7.2.4.1: receipt of those of HTTP/2 MUST be H3_SETTINGS_ERROR.
		if settingH2First <= id && id <= settingH2Last {
			return errSettingsH2
		}
	}
	return nil
}

// AppendSettings appends a SETTINGS frame. What is zero is left out: that is
// what it means (RFC 9114 §7.2.4.2).
func AppendSettings(dst []byte, s Settings) []byte {
	var room [5 * 2 * MaxVarintSize]byte
	payload := room[:0]
	payload = appendSetting(payload, settingQPACKMaxTableCapacity, s.QPACKMaxTableCapacity)
	payload = appendSetting(payload, settingMaxFieldSectionSize, s.MaxFieldSectionSize)
	payload = appendSetting(payload, settingQPACKBlockedStreams, s.QPACKBlockedStreams)
	if s.EnableConnectProtocol {
		payload = appendSetting(payload, settingEnableConnectProtocol, 1)
	}
	if s.H3Datagram {
		payload = appendSetting(payload, settingH3Datagram, 1)
	}
	return append(AppendHeader(dst, TypeSettings, uint64(len(payload))), payload...)
}

func appendSetting(dst []byte, id, value uint64) []byte {
	if value == 0 {
		return dst
	}
	return AppendVarint(AppendVarint(dst, id), value)
}
