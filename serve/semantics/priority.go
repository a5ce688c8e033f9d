package semantics

// Priority is how much an answer matters beside the others of its connection,
// as a Priority field or a PRIORITY_UPDATE frame tells it (RFC 9218 §4).
type Priority struct {
	Urgency     uint8 // 0, the most urgent, to 7
	Incremental bool  // parts of the answer are of use before it is whole
}

// DefaultPriority is that of a request which tells none (RFC 9218 §4.1, §4.2).
var DefaultPriority = Priority{Urgency: 3}

const maxUrgency = 7

// ParsePriority reads the value of a Priority field; of several lines, all of
// them joined by commas. It never fails: a field that is no dictionary says
// nothing, and what a member says counts only if it is of the right type and
// in range (RFC 9218 §4: others MUST be ignored). The work is one walk over
// field, nothing is kept of it.
func ParsePriority(field []byte) Priority {
	p := DefaultPriority
	ok := walkDictionary(field, func(key []byte, value bareItem) {
		// Of a repeated key the last member counts, though it be of no use:
		// parsing has forgotten the others by then (RFC 8941 §4.2.2).
		switch string(key) {
		case "u":
			p.Urgency = DefaultPriority.Urgency
			if value.kind == itemInteger && 0 <= value.integer && value.integer <= maxUrgency {
				p.Urgency = uint8(value.integer)
			}
		case "i":
			p.Incremental = value.kind == itemBoolean && value.integer == 1
		}
	})
	if !ok {
		return DefaultPriority
	}
	return p
}
