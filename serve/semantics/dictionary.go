package semantics

// bareItem is a value in a structured field (RFC 8941 §3.3), as far as somebody
// here asks for it.
type bareItem struct {
	kind    itemKind
	integer int64 // of a boolean: 0 or 1
}

type itemKind uint8

const (
	itemOther itemKind = iota // a decimal, string, token, byte sequence or inner list
	itemInteger
	itemBoolean
)

// RFC 8941 §3.3.1, §3.3.2: digits of a number.
const (
	maxIntegerDigits  = 15
	maxWholeDigits    = 12 // of a decimal
	maxFractionDigits = 3
)

// walkDictionary parses b as a dictionary (RFC 8941 §4.2.2) and calls yield for
// each member, in order; parameters are checked and passed over. False: b is no
// dictionary, and what was yielded does not count.
// The types that RFC 9651 adds, dates and display strings, are not known here:
// RFC 9218 rests on RFC 8941.
func walkDictionary(b []byte, yield func(key []byte, value bareItem)) bool {
	s := structured{b}
	s.skipSpaces()
	for len(s.b) > 0 {
		key, ok := s.key()
		if !ok {
			return false
		}
		value := bareItem{itemBoolean, 1} // a key alone is true
		if s.next('=') {
			value, ok = s.memberValue()
		}
		if !ok || !s.parameters() {
			return false
		}
		yield(key, value)
		if s.skipOWS(); len(s.b) == 0 {
			return true
		}
		if !s.next(',') {
			return false
		}
		if s.skipOWS(); len(s.b) == 0 {
			return false // a comma at the end
		}
	}
	return true
}

// structured is the rest of a structured field. Each method takes what it
// names from the begin; false: it is not there, and the parse has failed.
type structured struct{ b []byte }

// next takes c, if it is what follows.
func (s *structured) next(c byte) bool {
	if len(s.b) == 0 || s.b[0] != c {
		return false
	}
	s.b = s.b[1:]
	return true
}

func (s *structured) skipSpaces() {
	for s.next(' ') {
	}
}

func (s *structured) skipOWS() {
	for s.next(' ') || s.next('\t') {
	}
}

// key: ( lcalpha / "*" ) *( lcalpha / DIGIT / "_" / "-" / "." / "*" ).
func (s *structured) key() (key []byte, ok bool) {
	n := 0
	for n < len(s.b) && keyByte(s.b[n], n == 0) {
		n++
	}
	key, s.b = s.b[:n], s.b[n:]
	return key, n > 0
}

func keyByte(c byte, first bool) bool {
	switch {
	case 'a' <= c && c <= 'z', c == '*':
		return true
	case '0' <= c && c <= '9', c == '_', c == '-', c == '.':
		return !first
	}
	return false
}

// memberValue: an item or an inner list, without its parameters.
func (s *structured) memberValue() (bareItem, bool) {
	if s.next('(') {
		return bareItem{}, s.innerList()
	}
	return s.item()
}

// innerList: what follows "(", items with their parameters divided by spaces.
func (s *structured) innerList() bool {
	for {
		s.skipSpaces()
		if s.next(')') {
			return true
		}
		if _, ok := s.item(); !ok || !s.parameters() {
			return false
		}
		if len(s.b) == 0 || s.b[0] != ' ' && s.b[0] != ')' {
			return false
		}
	}
}

// parameters: *( ";" *SP key [ "=" bare-item ] ).
func (s *structured) parameters() bool {
	for s.next(';') {
		s.skipSpaces()
		_, ok := s.key()
		if ok && s.next('=') {
			_, ok = s.item()
		}
		if !ok {
			return false
		}
	}
	return true
}

// item: a bare item, told apart by its first byte (RFC 8941 §4.2.3.1).
func (s *structured) item() (v bareItem, ok bool) {
	if len(s.b) == 0 {
		return v, false
	}
	switch c := s.b[0]; {
	case c == '-', '0' <= c && c <= '9':
		return s.number()
	case c == '?':
		return s.boolean()
	case c == '"':
		return v, s.str()
	case c == ':':
		return v, s.byteSequence()
	case c == '*', 'a' <= c|0x20 && c|0x20 <= 'z':
		s.token()
		return v, true
	}
	return v, false
}

// number: an integer, or a decimal, whose value nobody asks for.
func (s *structured) number() (v bareItem, ok bool) {
	negative := s.next('-')
	n, whole := s.digits(maxIntegerDigits)
	if whole == 0 {
		return v, false
	}
	if s.next('.') {
		_, fraction := s.digits(maxFractionDigits)
		return v, whole <= maxWholeDigits && fraction > 0
	}
	if negative {
		n = -n
	}
	return bareItem{itemInteger, n}, true
}

// digits takes DIGITs and tells how many; 0: none, or more than most.
func (s *structured) digits(most int) (n int64, count int) {
	for count < len(s.b) && digit(s.b[count]) {
		if count == most {
			return 0, 0
		}
		n = n*10 + int64(s.b[count]-'0')
		count++
	}
	s.b = s.b[count:]
	return n, count
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// boolean: "?0" or "?1".
func (s *structured) boolean() (v bareItem, ok bool) {
	if len(s.b) < 2 || s.b[1] != '0' && s.b[1] != '1' {
		return v, false
	}
	v = bareItem{itemBoolean, int64(s.b[1] - '0')}
	s.b = s.b[2:]
	return v, true
}

// str: visible ASCII and SP in quotes; a backslash only before one or a quote.
func (s *structured) str() bool {
	for i := 1; i < len(s.b); i++ {
		switch c := s.b[i]; {
		case c == '"':
			s.b = s.b[i+1:]
			return true
		case c == '\\':
			if i++; i == len(s.b) || s.b[i] != '"' && s.b[i] != '\\' {
				return false
			}
		case c < ' ' || c > '~':
			return false
		}
	}
	return false
}

// token: ( ALPHA / "*" ) *( tchar / ":" / "/" ). The first byte is known.
func (s *structured) token() {
	n := 1
	for n < len(s.b) && (IsTokenByte(s.b[n]) || s.b[n] == ':' || s.b[n] == '/') {
		n++
	}
	s.b = s.b[n:]
}

// byteSequence: base64 between colons; whether it decodes is not looked at.
func (s *structured) byteSequence() bool {
	for i := 1; i < len(s.b); i++ {
		switch c := s.b[i]; {
		case c == ':':
			s.b = s.b[i+1:]
			return true
		case !digit(c) && (c|0x20 < 'a' || c|0x20 > 'z') && c != '+' && c != '/' && c != '=':
			return false
		}
	}
	return false
}
