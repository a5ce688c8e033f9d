package shard

import (
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/listener"
)

// once is an engine that takes a byte and ends.
type once struct {
	idleDriver
	c *Conn
}

func (o *once) OnReadable(time.Time) {
	var b [16]byte
	if _, err := o.c.Read(b[:]); err != ErrWouldBlock {
		o.c.Done(nil)
	}
}

// A connection costs itself and its driver, not more: neither the gate nor proxies
// that it is none of cost an allocation.
func TestAcceptAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("counts differ under -race")
	}
	for name, proxies := range map[string]*listener.Proxies{
		"nobody": nil,
		"others": listener.NewProxies(listener.ProxyConfig{From: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}),
	} {
		t.Run(name, func(t *testing.T) {
			sh, err := New(Config{})
			if err != nil {
				t.Fatal(err)
			}
			svc, socket := listenEcho(t)
			svc.Open = func(c *Conn) Driver { return &once{c: c} }
			svc.Gate, svc.Proxies = listener.NewGate(listener.GateConfig{LimitLoopback: true}), proxies
			sh.Start()
			if err := sh.AddSocket(socket, svc); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				sh.Leave(svc, func() {})
				sh.Stop()
				<-sh.Stopped()
				sh.wg.Wait()
				socket.Close()
			})
			to := &syscall.SockaddrInet4{Port: svc.Listener.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
			b := make([]byte, 1)
			if n := testing.AllocsPerRun(500, func() {
				fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
				if err == nil {
					err = syscall.Connect(fd, to)
				}
				if err == nil {
					_, err = syscall.Write(fd, b)
				}
				if err == nil {
					_, err = syscall.Read(fd, b) // its end
				}
				syscall.Close(fd)
				if err != nil {
					t.Fatal(err)
				}
			}); n > 2 {
				t.Errorf("%v allocations a connection, want those of the connection and its driver", n)
			}
		})
	}
}
