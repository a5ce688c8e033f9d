package suite

import (
	"fmt"
	"net"
	"os"
	"testing"
	"time"
)

// listenAt names the address at which this test's binary is a server.
const listenAt = "SUITE_TEST_LISTEN"

func (p *place) address() string { return fmt.Sprint("127.0.0.1:", p.port()) }

func testBinary(t *testing.T) string {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestListens is a server for other tests, which end it.
func TestListens(t *testing.T) {
	address := os.Getenv(listenAt)
	if address == "" {
		t.Skip("it is a child of TestTake")
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(time.Minute, func() { _ = l.Close() }) // should nobody end it
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_ = c.Close()
	}
}

func TestFreePorts(t *testing.T) {
	ports, err := freePorts(20)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[int]bool)
	for _, p := range ports {
		if seen[p] || p < 1024 {
			t.Errorf("port %d of %v", p, ports)
		}
		seen[p] = true
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if isFree(l.Addr().(*net.TCPAddr).Port) {
		t.Error("a port that is taken is free")
	}
}

func TestParseCores(t *testing.T) {
	for list, want := range map[string]string{"0": "[0]", "0-2,5": "[0 1 2 5]", "3,1": "[3 1]", "": "[]", "x": "[]", "1-": "[]"} {
		if got := fmt.Sprint(parseCores(list)); got != want {
			t.Errorf("%q: %s, want %s", list, got, want)
		}
	}
}
