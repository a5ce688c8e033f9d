package app

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve/servetest"
)

func TestUsedPortExits2AndNamesTheHolder(t *testing.T) {
	l, err := net.Listen("tcp", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, flag := range []string{"--listen", "--tls-listen", "--admin"} {
		args := []string{"serve", flag, l.Addr().String()}
		if flag != "--admin" {
			args = append(args, "--admin", "off")
		} else {
			args = append(args, "--listen", anyPort)
		}
		code, stdout, stderr := runBinary(t, args...)
		if code != ExitNoBind || stdout != "" || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", flag, code, stdout, stderr)
		}
		for _, want := range []string{"penstock: listen tcp " + l.Addr().String() + ": address in use by pid", fmt.Sprintf("pid %d (", os.Getpid()), "stop it or pass " + flag + " with another port"} {
			if !strings.Contains(stderr, want) {
				t.Errorf("%s: %q is missing in %q", flag, want, stderr)
			}
		}
	}
}

func TestAddressOfNoInterfaceExits2(t *testing.T) {
	code, _, stderr := runBinary(t, "respond", "--listen", "192.0.2.1:8080")
	if code != ExitNoBind || !strings.Contains(stderr, "no interface of this machine has the address") {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

// A failed start leaves nothing behind: the addresses bound before are free.
func TestFailedStartReleasesWhatItBound(t *testing.T) {
	taken, err := net.Listen("tcp", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	path := filepath.Join(t.TempDir(), "s")
	if code, _, stderr := runHere("respond", "--listen", "unix:"+path, "--listen", taken.Addr().String()); code != ExitNoBind {
		t.Errorf("exit %d, %q", code, stderr)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("the unix socket was left behind")
	}
}

// udpOnly takes a UDP port whose number is free in TCP.
func udpOnly(t *testing.T) net.PacketConn {
	t.Helper()
	for range 10 {
		conn, err := net.ListenPacket("udp", anyPort)
		servetest.Must(t, "bind a UDP port", err)
		t.Cleanup(func() { _ = conn.Close() })
		if l, err := net.Listen("tcp", conn.LocalAddr().String()); err == nil {
			_ = l.Close()
			return conn
		}
	}
	t.Fatal("no port that is free in TCP")
	return nil
}

// With --http3 the port is wanted in UDP too.
func TestUsedUDPPortExits2AndNamesTheHolder(t *testing.T) {
	stranger := udpOnly(t).LocalAddr().String()
	code, stdout, stderr := runBinary(t, "respond", "--http3", "--tls-listen", stranger)
	if code != ExitNoBind || stdout != "" || strings.Count(stderr, "\n") != 1 {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	for _, want := range []string{
		"penstock: listen udp " + stranger + ": address in use by pid", fmt.Sprintf("pid %d (", os.Getpid()),
		"stop it or pass --tls-listen with another port, or leave out --http3",
	} {
		if !strings.Contains(stderr, want) {
			t.Errorf("%q is missing in %q", want, stderr)
		}
	}
	p := start(t, nil, "respond", "--tls-listen", stranger) // the same without HTTP/3
	servetest.Want(t, "TCP has the port", p.urls[0], "https://"+stranger)
}

// An address with port 0 gets a port that is free in TCP and in UDP: when UDP
// refuses the one that TCP picked, TCP picks again.
func TestAnyPortIsOneForTCPAndUDP(t *testing.T) {
	for _, c := range []struct {
		name, spec string
		free       bool // a port can be found
	}{
		{"any port", anyPort, true},
		{"a given one", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			stranger := udpOnly(t).LocalAddr().String()
			e := endpoint{flag: "--tls-listen", spec: c.spec, network: "tcp", address: c.spec}
			if c.spec == "" {
				e.spec, e.address = stranger, stranger
			}
			p := &Prepared{
				opts: CompletedOptions{&completedOptions{ServingOptions{HTTP3: true, Listeners: 1}}},
				life: &lifecycle{log: slog.New(slog.DiscardHandler)},
			}
			defer p.closeGroups()
			group, err := listener.Bind(t.Context(), listener.Config{Address: stranger, Sockets: 1})
			servetest.Must(t, "bind the stranger's number in TCP", err)
			p.secure = []bound{{e, group}}

			err = p.bindPackets(t.Context())
			servetest.Want(t, "a port was found", err == nil, c.free)
			if !c.free {
				servetest.Want(t, "exit code", ExitCode(err), ExitNoBind)
				return
			}
			secure := p.secure[0].group.Addr().(*net.TCPAddr)
			servetest.Want(t, "TCP left the stranger's number", secure.String() != stranger, true)
			servetest.Want(t, "TCP and UDP have the same port", p.packets[0].group.Addr().(*net.UDPAddr).Port, secure.Port)
			old, err := net.Listen("tcp", stranger)
			servetest.Must(t, "the first port is free again", err)
			_ = old.Close()
		})
	}
}
