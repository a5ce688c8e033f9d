package bufpool

import "io"

// Copy copies src to dst until src ends, through a lent buffer, by reads of at
// most size bytes. Unlike io.Copy it asks neither for a way of their own, so
// that a ReaderFrom may call it.
func Copy(dst io.Writer, src io.Reader, size int) (total int64, err error) {
	buf := Get(size)
	defer buf.Release()
	p := buf.B[:size]
	for {
		n, rerr := src.Read(p)
		if n > 0 {
			m, werr := dst.Write(p[:n])
			total += int64(m)
			if werr != nil {
				return total, werr
			}
		}
		switch {
		case rerr == io.EOF:
			return total, nil
		case rerr != nil:
			return total, rerr
		}
	}
}
