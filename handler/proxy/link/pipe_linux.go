package link

import (
	"golang.org/x/sys/unix"

	"github.com/penstock-edge/penstock/serve/shard"
)

// newPipe makes a pipe that holds one piece. One that is smaller, which a user with
// many pipes gets (pipe(7), pipe-user-pages-soft), would cost more calls than it
// spares.
func newPipe() *Pipe {
	var ends [2]int
	if unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		return nil
	}
	p := &Pipe{In: ends[1], Out: ends[0]}
	if size, err := unix.FcntlInt(uintptr(p.In), unix.F_SETPIPE_SZ, shard.SplicePiece); err != nil || size < shard.SplicePiece {
		p.close()
		return nil
	}
	return p
}

func (p *Pipe) close() {
	unix.Close(p.In)
	unix.Close(p.Out)
}
