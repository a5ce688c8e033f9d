package listener

import (
	"errors"
	"io"
	"math"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// sendfileChunk bounds one sendfile(2), which occupies a thread while the file
// is read from disk.
const sendfileChunk = 4 << 20

// sendFile copies from a file within the kernel; handled is false if r is
// none, or the kernel cannot.
func (c *Conn) sendFile(r io.Reader) (sent int64, handled bool, err error) {
	left := int64(math.MaxInt64)
	limited, ok := r.(*io.LimitedReader)
	if ok {
		r, left = limited.R, limited.N
	}
	src, ok := r.(*os.File)
	if !ok || left <= 0 {
		return 0, false, nil
	}
	if st, err := src.Stat(); err != nil || !st.Mode().IsRegular() {
		return 0, false, nil
	}
	from, err := src.SyscallConn()
	if err != nil {
		return 0, false, nil
	}
	to, err := c.file.SyscallConn()
	if err != nil {
		return 0, true, err
	}
	sent, err = sendfileAll(to, from, left)
	if limited != nil {
		limited.N -= sent
	}
	if sent == 0 && (errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP)) {
		return 0, false, nil
	}
	return sent, true, err
}

// sendfileAll sends up to left bytes, waiting in the poller for the peer.
func sendfileAll(to, from syscall.RawConn, left int64) (sent int64, err error) {
	var waitErr, sendErr error
	ctlErr := from.Control(func(in uintptr) {
		waitErr = to.Write(func(out uintptr) bool {
			var n int64
			n, sendErr = sendfileNow(int(out), int(in), left-sent)
			sent += n
			if errors.Is(sendErr, unix.EAGAIN) {
				sendErr = nil
				return false
			}
			return true
		})
	})
	return sent, errors.Join(ctlErr, waitErr, sendErr)
}

// sendfileNow sends up to left bytes; EAGAIN if the socket takes no more now.
func sendfileNow(out, in int, left int64) (sent int64, err error) {
	for sent < left {
		n, err := unix.Sendfile(out, in, nil, int(min(left-sent, sendfileChunk)))
		switch {
		case n > 0:
			sent += int64(n)
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return sent, os.NewSyscallError("sendfile", err)
		default: // the file ends here
			return sent, nil
		}
	}
	return sent, nil
}
