package wire

// Limits bound what a message head may cost. A zero field means its default.
// The defaults are those of rules H1-7 and H1-12.
type Limits struct {
	MethodBytes  int // default 32: the longest registered method has 17 (TestLimits/method)
	TargetBytes  int // default 16 KiB: above what browsers send, below a page of memory each for a thousand peers (TestLimits/target)
	FieldBytes   int // default 64 KiB, all field lines in sum (TestLimits/fields)
	Fields       int // default 100 (TestLimits/fields)
	TrailerBytes int // default 8 KiB (TestTrailerLimits)
	Trailers     int // default 32 (TestTrailerLimits)
}

// Default limits; see Limits.
const (
	DefaultMethodBytes  = 32
	DefaultTargetBytes  = 16 << 10
	DefaultFieldBytes   = 64 << 10
	DefaultFields       = 100
	DefaultTrailerBytes = 8 << 10
	DefaultTrailers     = 32

	// maxEmptyLines before a request line are skipped (RFC 9112 §2.2; rule H1-12).
	maxEmptyLines = 2
	// versionBytes is the rest of a request line behind its target, with CRLF.
	versionBytes = len(" HTTP/1.1\r\n")
)

// WithDefaults returns l with its zero fields set.
func (l Limits) WithDefaults() Limits {
	set := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	set(&l.MethodBytes, DefaultMethodBytes)
	set(&l.TargetBytes, DefaultTargetBytes)
	set(&l.FieldBytes, DefaultFieldBytes)
	set(&l.Fields, DefaultFields)
	set(&l.TrailerBytes, DefaultTrailerBytes)
	set(&l.Trailers, DefaultTrailers)
	return l
}

// HeadBytes is the largest head that can be accepted: the size a read buffer
// has to reach.
func (l *Limits) HeadBytes() int {
	return 2*maxEmptyLines + l.MethodBytes + 1 + l.TargetBytes + versionBytes + l.FieldBytes + 2
}
