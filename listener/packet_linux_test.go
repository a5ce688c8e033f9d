package listener

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// strangers are sockets on which somebody else may sit on a port.
var strangers = []struct {
	name    string
	options []int
}{
	{"plain", nil},
	{"SO_REUSEADDR", []int{unix.SO_REUSEADDR}},
	{"SO_REUSEPORT", []int{unix.SO_REUSEPORT}},
	{"both", []int{unix.SO_REUSEADDR, unix.SO_REUSEPORT}},
}

// stranger binds a UDP socket with options.
func stranger(t *testing.T, address string, options []int) *net.UDPConn {
	t.Helper()
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var errs []error
		err := raw.Control(func(fd uintptr) {
			for _, o := range options {
				errs = append(errs, unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, o, 1))
			}
		})
		return errors.Join(append(errs, err)...)
	}}
	c, err := lc.ListenPacket(t.Context(), "udp", address)
	must(t, "stranger's bind", err)
	t.Cleanup(func() { _ = c.Close() })
	return c.(*net.UDPConn)
}

func TestPacketStrangerIsNamed(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		for _, s := range strangers {
			t.Run(address+" "+s.name, func(t *testing.T) {
				address := stranger(t, address, s.options).LocalAddr().String()
				for _, sockets := range []int{1, 3} {
					_, err := BindPackets(t.Context(), PacketConfig{Address: address, Sockets: sockets})
					wantHolder(t, strconv.Itoa(sockets)+" sockets", err, address, os.Getpid())
				}
				// A wildcard collides with what is bound to one address.
				_, port, err := net.SplitHostPort(address)
				must(t, "address", err)
				_, err = BindPackets(t.Context(), PacketConfig{Address: ":" + port, Sockets: 3})
				wantHolder(t, "wildcard", err, ":"+port, os.Getpid())
			})
		}
	}
}

// The stranger's socket is left to a process that does nothing but keep it.
func TestPacketOtherProcessIsNamed(t *testing.T) {
	c := stranger(t, "127.0.0.1:0", []int{unix.SO_REUSEPORT})
	address := c.LocalAddr().String()
	f, err := c.File()
	must(t, "File", err)
	p := start(t, "hold 127.0.0.1:0", []*os.File{f})
	p.line() // it runs
	must(t, "Close", errors.Join(f.Close(), c.Close()))
	_, err = BindPackets(t.Context(), PacketConfig{Address: address, Sockets: 2})
	wantHolder(t, "BindPackets", err, address, p.cmd.Process.Pid)
}

func TestPacketGroupsDoNotShare(t *testing.T) {
	for _, first := range []int{1, 3} {
		g := bindPacketsForTest(t, PacketConfig{Sockets: first})
		address := g.Addr().String()
		for _, second := range []int{1, 3} {
			_, err := BindPackets(t.Context(), PacketConfig{Address: address, Sockets: second})
			wantHolder(t, "second group", err, address, os.Getpid())
		}
	}
}

func TestPacketJoin(t *testing.T) {
	a := bindPacketsForTest(t, PacketConfig{Join: true})
	b := bindPacketsForTest(t, PacketConfig{Join: true, Address: a.Addr().String()})
	want(t, "same address", b.Addr().String(), a.Addr().String())
	_, err := BindPackets(t.Context(), PacketConfig{Address: a.Addr().String(), Sockets: 2})
	wantHolder(t, "third group, without Join", err, a.Addr().String(), os.Getpid())

	plain := bindPacketsForTest(t, PacketConfig{Sockets: 1})
	_, err = BindPackets(t.Context(), PacketConfig{Address: plain.Addr().String(), Join: true})
	wantHolder(t, "Join of one that does not share", err, plain.Addr().String(), os.Getpid())
}

func TestPacketBuffers(t *testing.T) {
	var log bytes.Buffer
	g := bindPacketsForTest(t, PacketConfig{
		Sockets: 2, ReadBuffer: 64 << 10, WriteBuffer: 32 << 10,
		ErrorLog: slog.New(slog.NewTextHandler(&log, nil)),
	})
	for _, c := range g.Conns() {
		raw, err := c.SyscallConn()
		must(t, "SyscallConn", err)
		must(t, "Control", raw.Control(func(fd uintptr) {
			read, err := growBuffer(int(fd), -1, 0, unix.SO_RCVBUF)
			must(t, "SO_RCVBUF", err)
			want(t, "read buffer", read, 64<<10)
			write, err := growBuffer(int(fd), -1, 0, unix.SO_SNDBUF)
			must(t, "SO_SNDBUF", err)
			want(t, "write buffer", write, 32<<10)
		}))
	}
	want(t, "log", log.String(), "")
}

// Without CAP_NET_ADMIN the system's maximum holds, and one line says so.
func TestPacketSmallBuffersAreLogged(t *testing.T) {
	var log bytes.Buffer
	var g *PacketGroup
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for ever: the thread ends with the goroutine, and its lack of rights with it
		if err = dropNetAdmin(); err != nil {
			return
		}
		g, err = BindPackets(t.Context(), PacketConfig{
			Address: "127.0.0.1:0", Sockets: 2, ReadBuffer: maxPacketBuffer, WriteBuffer: -1,
			ErrorLog: slog.New(slog.NewTextHandler(&log, nil)),
		})
	}()
	<-done
	must(t, "BindPackets", err)
	defer g.Close()
	b, err := os.ReadFile("/proc/sys/net/core/rmem_max")
	if err != nil {
		t.Skipf("the system tells no maximum: %v", err)
	}
	limit, err := strconv.Atoi(strings.TrimSpace(string(b)))
	must(t, "net.core.rmem_max", err)
	if limit >= maxPacketBuffer {
		t.Skipf("net.core.rmem_max is %d, nothing is too large", limit)
	}
	want(t, "lines", strings.Count(log.String(), "\n"), 1)
	for _, part := range []string{
		"read_asked=" + strconv.Itoa(maxPacketBuffer), "read_got=" + strconv.Itoa(limit),
		`fix="sysctl -w net.core.rmem_max=` + strconv.Itoa(maxPacketBuffer) + `"`,
	} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("%q lacks %q", log.String(), part)
		}
	}
}

// With CAP_NET_ADMIN it does not.
func TestPacketBuffersBeyondTheMaximum(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	must(t, "socket", err)
	defer closeFD(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, maxPacketBuffer); err != nil {
		t.Skipf("SKIPPED: needs CAP_NET_ADMIN: %v", err)
	}
	var log bytes.Buffer
	bindPacketsForTest(t, PacketConfig{
		Sockets: 2, ReadBuffer: maxPacketBuffer, WriteBuffer: maxPacketBuffer,
		ErrorLog: slog.New(slog.NewTextHandler(&log, nil)),
	})
	want(t, "log", log.String(), "")
}

// dropNetAdmin takes the capability from this thread alone.
func dropNetAdmin() error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return err
	}
	data[0].Effective &^= 1 << unix.CAP_NET_ADMIN
	return unix.Capset(&hdr, &data[0])
}
