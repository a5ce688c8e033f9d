package frame

import "encoding/binary"

// SettingID names a setting. An unknown one MUST be ignored (RFC 9113 §6.5.2).
type SettingID uint16

// The settings that we know.
const (
	SettingHeaderTableSize       SettingID = 0x1
	SettingEnablePush            SettingID = 0x2
	SettingMaxConcurrentStreams  SettingID = 0x3
	SettingInitialWindowSize     SettingID = 0x4
	SettingMaxFrameSize          SettingID = 0x5
	SettingMaxHeaderListSize     SettingID = 0x6
	SettingEnableConnectProtocol SettingID = 0x8 // RFC 8441 §3
	SettingNoRFC7540Priorities   SettingID = 0x9 // RFC 9218 §2.1
)

// maxMaxFrameSize is the most that a length of 24 bits can say.
const maxMaxFrameSize = 1<<24 - 1

// String gives the RFC's name, or the number of an unknown setting.
func (id SettingID) String() string {
	switch id {
	case SettingHeaderTableSize:
		return "SETTINGS_HEADER_TABLE_SIZE"
	case SettingEnablePush:
		return "SETTINGS_ENABLE_PUSH"
	case SettingMaxConcurrentStreams:
		return "SETTINGS_MAX_CONCURRENT_STREAMS"
	case SettingInitialWindowSize:
		return "SETTINGS_INITIAL_WINDOW_SIZE"
	case SettingMaxFrameSize:
		return "SETTINGS_MAX_FRAME_SIZE"
	case SettingMaxHeaderListSize:
		return "SETTINGS_MAX_HEADER_LIST_SIZE"
	case SettingEnableConnectProtocol:
		return "SETTINGS_ENABLE_CONNECT_PROTOCOL"
	case SettingNoRFC7540Priorities:
		return "SETTINGS_NO_RFC7540_PRIORITIES"
	default:
		return number(uint32(id))
	}
}

// Setting is one entry of a SETTINGS frame.
type Setting struct {
	ID    SettingID
	Value uint32
}

// NumSettings is how many entries the payload of a SETTINGS frame has. One
// setting may come twice; they apply in order (RFC 9113 §6.5.3).
func NumSettings(p []byte) int { return len(p) / settingSize }

// SettingAt is the i-th entry of the payload p.
func SettingAt(p []byte, i int) Setting {
	p = p[i*settingSize:]
	return Setting{SettingID(binary.BigEndian.Uint16(p)), binary.BigEndian.Uint32(p[2:])}
}

// Check decides whether the value is one that the setting can have, from
// either side. That a server MUST NOT enable push, and which settings must not
// change, is left to the engine.
func (s Setting) Check() *Error {
	switch s.ID {
	// RFC 9113 §6.5.2: other than 0 or 1 MUST be PROTOCOL_ERROR.
	case SettingEnablePush:
		if s.Value > 1 {
			return errEnablePush
		}
	// RFC 9113 §6.5.2: above the largest window MUST be FLOW_CONTROL_ERROR.
	case SettingInitialWindowSize:
		if s.Value > MaxWindow {
			return errInitialWindow
		}
	// RFC 9113 §6.5.2: outside the range MUST be PROTOCOL_ERROR.
	case SettingMaxFrameSize:
		if s.Value < DefaultMaxSize || s.Value > maxMaxFrameSize {
			return errMaxFrameSize
		}
	// RFC 8441 §3: MUST be 0 or 1; which error is not said.
	case SettingEnableConnectProtocol:
		if s.Value > 1 {
			return errConnectProtocol
		}
	// RFC 9218 §2.1: other than 0 or 1 MUST be PROTOCOL_ERROR.
	case SettingNoRFC7540Priorities:
		if s.Value > 1 {
			return errNoPriorities
		}
	default: // any value, or unknown
	}
	return nil
}

// AppendSettings appends a SETTINGS frame.
func AppendSettings(dst []byte, s ...Setting) []byte {
	dst = AppendHeader(dst, Header{Length: uint32(len(s) * settingSize), Type: TypeSettings})
	for _, v := range s {
		dst = binary.BigEndian.AppendUint16(dst, uint16(v.ID))
		dst = binary.BigEndian.AppendUint32(dst, v.Value)
	}
	return dst
}

// AppendSettingsAck appends the acknowledgement of a SETTINGS frame.
func AppendSettingsAck(dst []byte) []byte {
	return AppendHeader(dst, Header{Type: TypeSettings, Flags: FlagAck})
}
