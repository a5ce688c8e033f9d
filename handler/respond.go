package handler

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// respondBlockBytes is the piece a generated body is written in. It fits the
// largest size class of the engines' buffers.
const respondBlockBytes = 64 << 10

// RespondOptions is the answer Respond gives. The zero value is an empty 200.
type RespondOptions struct {
	// Status is the status code, 200 to 599. If zero, 200.
	Status int
	// Body is sent as it is. It is not to be changed afterwards.
	Body []byte
	// BodySize asks for a generated body of so many bytes instead of Body: a
	// repeating text that is never held in memory as a whole. If zero, Body.
	BodySize int64
	// Header holds further fields. Content-Type is text/plain unless given here.
	// Fields that frame a message are an error: they are the server's.
	Header http.Header
	// Delay is waited between the end of the request and the answer. If zero, none.
	Delay time.Duration
}

// Respond gives every request, whatever its method and path, the same answer.
// It reads the whole request body first, so that a client has sent all when it
// is answered. It makes the promise of RecycleRequests, and allocates nothing
// unless it waits.
type Respond struct {
	status int
	fields []respondField
	block  []byte // the body, or the piece it repeats
	size   int64
	delay  time.Duration
}

// respondField is one field of the answer, with its canonical name.
type respondField struct {
	name   string
	values []string
}

// NewRespond checks opts and prepares the answer.
func NewRespond(opts RespondOptions) (*Respond, error) {
	rs := &Respond{status: opts.Status, block: opts.Body, size: int64(len(opts.Body)), delay: opts.Delay}
	if rs.status == 0 {
		rs.status = http.StatusOK
	}
	if opts.BodySize > 0 {
		rs.block, rs.size = fillBlock(min(opts.BodySize, respondBlockBytes)), opts.BodySize
	}
	if err := rs.check(opts); err != nil {
		return nil, err
	}
	return rs, rs.prepareFields(opts.Header)
}

func (rs *Respond) check(opts RespondOptions) error {
	switch {
	case rs.status < 200 || rs.status > 599:
		return fmt.Errorf("status %d: a final status is between 200 and 599", rs.status)
	case opts.BodySize < 0:
		return fmt.Errorf("body size %d is negative", opts.BodySize)
	case opts.BodySize > 0 && len(opts.Body) > 0:
		return errors.New("a body and a body size exclude each other")
	case opts.Delay < 0:
		return fmt.Errorf("delay %v is negative", opts.Delay)
	case rs.size > 0 && !rs.mayHaveBody():
		return fmt.Errorf("status %d has no body", rs.status)
	}
	return nil
}

// mayHaveBody: RFC 9110 §6.4.1, and §15.3.6 for 205.
func (rs *Respond) mayHaveBody() bool {
	return semantics.BodyAllowed(rs.status) && rs.status != http.StatusResetContent
}

func (rs *Respond) prepareFields(header http.Header) error {
	merged := make(http.Header, len(header)+2)
	for name, values := range header {
		name = textproto.CanonicalMIMEHeaderKey(name)
		for _, value := range values {
			if err := checkRespondField(name, value); err != nil {
				return err
			}
			merged[name] = append(merged[name], value)
		}
	}
	if _, given := merged["Content-Type"]; !given && rs.size > 0 {
		merged["Content-Type"] = textPlain
	}
	if semantics.BodyAllowed(rs.status) {
		merged["Content-Length"] = []string{strconv.FormatInt(rs.size, 10)}
	}
	for name, values := range merged {
		rs.fields = append(rs.fields, respondField{name, values})
	}
	return nil
}

// framingFields are written by the server alone; a second opinion on where a
// message ends is how smuggling begins (RFC 9112 §6.3).
const framingFields = " Content-Length Transfer-Encoding Trailer Upgrade Keep-Alive Te "

func checkRespondField(name, value string) error {
	switch {
	case !semantics.IsToken(name):
		return fmt.Errorf("header %q: not a field name", name)
	case !semantics.ValidFieldValue([]byte(value)):
		return fmt.Errorf("header %s: the value holds a control character", name)
	case strings.Contains(framingFields, " "+name+" "):
		return fmt.Errorf("header %s is the server's own", name)
	case name == "Connection" && !strings.EqualFold(value, "close"):
		return errors.New("header Connection: only \"close\" can be given")
	}
	return nil
}

// fillBlock makes n bytes of text whose lines tell their own offset, so that
// a body cut or shifted on its way is seen at a glance.
func fillBlock(n int64) []byte {
	const line = 32
	b := make([]byte, 0, n+line)
	for int64(len(b)) < n {
		b = fmt.Appendf(b, "%08d penstock, fixed answer\n", len(b))
	}
	return b[:n]
}

// ServeHTTP reads the request's body to its end, waits, and answers.
func (rs *Respond) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Body != nil && r.Body != http.NoBody {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			refuseBody(w, r, err)
			return
		}
	}
	if rs.delay > 0 && !wait(r, rs.delay) {
		panic(http.ErrAbortHandler) // the client left: nobody to answer
	}
	h := w.Header()
	for i := range rs.fields {
		h[rs.fields[i].name] = rs.fields[i].values
	}
	if rs.status != http.StatusOK || rs.size == 0 || r.Method == http.MethodHead {
		w.WriteHeader(rs.status) // else Write implies it; net/http copies the fields here
	}
	if r.Method != http.MethodHead {
		rs.writeBody(w)
	}
}

// RecycleRequests tells the engine that nothing of a request is kept.
func (rs *Respond) RecycleRequests() bool { return true }

func (rs *Respond) writeBody(w http.ResponseWriter) {
	for left := rs.size; left > 0; {
		n, err := w.Write(rs.block[:min(left, int64(len(rs.block)))])
		if err != nil {
			return // the client left; the engine closes
		}
		left -= int64(n)
	}
}

// refuseBody answers a request whose body did not arrive whole. What was not
// understood is never answered with success.
func refuseBody(w http.ResponseWriter, r *http.Request, err error) {
	if r.ProtoMajor == 1 { // later versions lose the stream alone
		w.Header()["Connection"] = closeConn
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		bodyTooLarge.serve(w, r)
	case errors.Is(err, os.ErrDeadlineExceeded):
		bodyTimeout.serve(w, r)
	default:
		bodyBroken.serve(w, r)
	}
}

var (
	bodyTooLarge = newPage(http.StatusRequestEntityTooLarge, textPlain, []byte("413 request body too large\n"))
	bodyTimeout  = newPage(http.StatusRequestTimeout, textPlain, []byte("408 request body did not arrive in time\n"))
	bodyBroken   = newPage(http.StatusBadRequest, textPlain, []byte("400 request body could not be read\n"))
)

// wait sleeps for d and tells whether the client is still there.
func wait(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}
