package h2

import (
	"errors"
	"fmt"
	"net/http"
	"unsafe"

	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/serve/h2/frame"
	"github.com/penstock-edge/penstock/serve/h2/hpack"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// bytesOf are the bytes of a decoder's string, which nobody writes to.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// answerHead is the head of an answer that keeps the rules of RFC 9113 §8.
type answerHead struct {
	status int
	length int64 // declared; -1: it is not
	fields []message.Field
}

var (
	errStatus   = errors.New(":status is missing, repeated or malformed (RFC 9113 §8.3.2)")
	errPseudo   = errors.New("a pseudo-field that answers have not, or behind others (RFC 9113 §8.3)")
	errName     = errors.New("malformed field name (RFC 9113 §8.2.1)")
	errValue    = errors.New("malformed field value (RFC 9113 §8.2.1)")
	errHopByHop = errors.New("a field of the connection (RFC 9113 §8.2.2)")
)

// parseHead checks a header block. It gives copies of nothing: the strings are the
// decoder's.
func parseHead(block []hpack.Field) (h answerHead, err error) {
	h.length = -1
	h.fields = make([]message.Field, 0, len(block))
	for i := range block {
		f := &block[i]
		if f.Name != "" && f.Name[0] == ':' {
			if f.Name != ":status" || h.status != 0 || len(h.fields) > 0 {
				return h, errPseudo
			}
			if h.status = parseStatus(f.Value); h.status == 0 {
				return h, errStatus
			}
			continue
		}
		if err := checkField(f); err != nil {
			return h, err
		}
		if f.Name == "content-length" {
			n, ok := semantics.ParseLength(f.Value)
			if !ok || h.length >= 0 {
				return h, fmt.Errorf("content-length %.40q, or more than one", f.Value)
			}
			h.length = n
		}
		h.fields = append(h.fields, message.Field{Name: bytesOf(f.Name), Value: bytesOf(f.Value)})
	}
	if h.status == 0 {
		return h, errStatus
	}
	return h, nil
}

func checkField(f *hpack.Field) error {
	if !validName(f.Name) {
		return errName
	}
	if v := f.Value; !semantics.ValidFieldValue(bytesOf(v)) || v != "" && (v[0] <= ' ' || v[len(v)-1] <= ' ') {
		return errValue
	}
	switch f.Name {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		return errHopByHop
	}
	return nil
}

func validName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !semantics.IsTokenByte(c) || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return s != ""
}

// parseStatus: three digits, RFC 9110 §15; 0: it is none.
func parseStatus(s string) int {
	if len(s) != 3 || s[0] < '1' || s[0] > '9' || s[1] < '0' || s[1] > '9' || s[2] < '0' || s[2] > '9' {
		return 0
	}
	return int(s[0]-'0')*100 + int(s[1]-'0')*10 + int(s[2]-'0')
}

// onBlock takes a header block of the stream. conn.mu is held.
func (s *stream) onBlock(block []hpack.Field, over bool, size int, end bool) {
	s.answered = true
	if over {
		s.refuse(&message.Error{Kind: message.HeadTooLarge, Err: errHeadLarge})
		return
	}
	if s.final {
		s.onTrailer(block, end)
		return
	}
	h, err := parseHead(block)
	switch s.heads += size; {
	case err != nil:
		s.refuse(&message.Error{Kind: message.Malformed, Err: err})
	case s.heads > s.client.opts.MaxHead:
		s.refuse(&message.Error{Kind: message.HeadTooLarge, Err: errHeadLarge})
	case h.status == http.StatusSwitchingProtocols: // RFC 9113 §8.6
		s.refuse(&message.Error{Kind: message.UnaskedUpgrade})
	case h.status < 200:
		s.onInterim(&h, end)
	default:
		s.onFinal(&h, end)
	}
}

func (s *stream) onInterim(h *answerHead, end bool) {
	switch s.infos++; {
	case end || h.length > 0:
		s.refuse(&message.Error{Kind: message.Malformed, Err: errors.New("an informational answer ends the stream (RFC 9113 §8.1)")})
	case s.infos > maxInformational:
		s.refuse(&message.Error{Kind: message.HeadTooLarge, Err: errManyInfo})
	case h.status == http.StatusContinue:
		s.goOn = true
		s.wake()
	case s.req.Informational != nil:
		s.interims = append(s.interims, *h)
		s.wake()
	}
}

func (s *stream) onFinal(h *answerHead, end bool) {
	s.final = true
	s.resp = message.Response{Status: h.status, Fields: h.fields, Length: h.length}
	s.bodiless = s.req.Method == http.MethodHead || !semantics.BodyAllowed(h.status)
	if s.bodiless || end {
		if !s.bodiless && h.length > 0 {
			s.refuse(&message.Error{Kind: message.Malformed, Err: errLength})
			return
		}
		s.resp.Length = 0
	}
	if end {
		s.recvClosed = true
	}
	s.wake()
}

// onTrailer: RFC 9113 §8.1: a second block ends the answer.
func (s *stream) onTrailer(block []hpack.Field, end bool) {
	if !end {
		s.refuse(&message.Error{Kind: message.Malformed, Err: errors.New("a header block within the content (RFC 9113 §8.1)")})
		return
	}
	for i := range block {
		f := &block[i]
		if err := checkField(f); err != nil {
			s.refuse(&message.Error{Kind: message.Malformed, Err: err})
			return
		}
		s.trailer = append(s.trailer, message.Field{Name: bytesOf(f.Name), Value: bytesOf(f.Value)})
	}
	s.finishBody()
}

// onData takes content; all is what it costs of the windows. conn.mu is held.
func (s *stream) onData(data []byte, all int, end bool) {
	switch s.got += int64(len(data)); {
	case !s.final:
		s.refuse(&message.Error{Kind: message.Malformed, Err: errEarlyFrame})
	case s.bodiless && len(data) > 0:
		s.refuse(&message.Error{Kind: message.Malformed, Err: errNoContent})
	case s.unread+all > streamWindow:
		s.reset(frame.FlowControlError)
		s.fail(&message.Error{Kind: message.Malformed, Answered: true, Err: errors.New("6.9: more than the window")})
	case s.resp.Length >= 0 && !s.bodiless && s.got > s.resp.Length:
		s.refuse(&message.Error{Kind: message.Malformed, Err: errLength})
	default:
		s.buffer(data)
		s.giveCredit(all - len(data)) // padding
		if end {
			s.finishBody()
			return
		}
		s.wake()
		return
	}
	s.conn.giveCredit(all)
}

// finishBody: END_STREAM has come.
func (s *stream) finishBody() {
	if s.resp.Length >= 0 && !s.bodiless && s.got != s.resp.Length {
		s.refuse(&message.Error{Kind: message.Malformed, Err: errLength})
		return
	}
	s.recvClosed = true
	s.wake()
}

// refuse ends the stream for an answer that breaks the rules.
func (s *stream) refuse(e *message.Error) {
	e.Answered = true
	s.reset(frame.ProtocolError)
	s.fail(e)
}

// onReset: RFC 9113 §6.4, §8.1. conn.mu is held.
func (s *stream) onReset(code frame.ErrCode) {
	s.sendClosed = true
	s.wakeSender()
	if s.recvClosed {
		return // an early answer, and it is whole: nothing more of the request is wanted
	}
	s.recvClosed = true
	err := errors.New("RST_STREAM " + code.String())
	switch {
	case code == frame.RefusedStream && !s.answered:
		s.fail(&message.Error{Kind: message.Refused, Unsent: true, Err: err})
	case s.final:
		s.fail(&message.Error{Kind: message.BodyCut, Answered: true, Err: err})
	case s.answered:
		s.fail(&message.Error{Kind: message.HeadCut, Answered: true, Err: err})
	default:
		s.fail(&message.Error{Kind: message.ResetEarly, Err: err})
	}
}
