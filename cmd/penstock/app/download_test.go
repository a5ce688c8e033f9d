package app

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/certs"
)

// Downloads over HTTP/2 and TLS: penstock's file-server beside h2o and nginx
// where they are installed (Debian: apt-get install -y h2o nginx curl
// nghttp2-client).
//
//	go test -run='^$' -bench=Download -benchtime=5x -pgo=$PWD/cmd/penstock/default.pgo ./cmd/penstock/app
//
// An iteration is a round: each server in turn, alone on the first core, answers
// the same client on the second (both choose freely where there is one only).
// Reported are medians of the rounds: user and system time of the server's
// whole process tree ("cpu-ms/GiB"), and the medians of the rounds' ratios, peer
// by penstock: above 1.00 penstock is cheaper. -pgo is what `go build` does for
// the command: the test binary is penstock here.
//
// All have one worker, the same certificate (ECDSA P-256) and no access log; the
// client offers TLS_AES_128_GCM_SHA256 alone, or OpenSSL's servers would choose
// AES-256 where ours chooses AES-128. The file is sparse, and read once before
// the rounds: it comes from the page cache.

// A download is what a client does in one round.
type download struct {
	name  string
	files int   // fetched
	bytes int64 // of each
	tool  string
	args  []string                           // before the URL
	check func(out string, d download) error // what the tool says it got
}

const (
	bigFile, bigBytes     = "big.bin", 1 << 30
	smallFile, smallBytes = "1m.bin", 1_000_000
	benchCipher           = "TLS_AES_128_GCM_SHA256"
)

func (d download) file() string {
	if d.bytes == bigBytes {
		return bigFile
	}
	return smallFile
}

var downloads = []download{
	{"1GiB/curl", 1, bigBytes, "curl", []string{
		"--http2", "-k", "-s", "-S", "--tls13-ciphers", benchCipher, "-o", os.DevNull, "-w", "%{http_version} %{http_code} %{size_download}",
	}, checkCurl},
	{"1GiB/h2load", 1, bigBytes, "h2load", []string{"-n1", "-c1", "-m1", "--tls13-ciphers=" + benchCipher}, checkH2load},
	{"1MB/h2load", 1000, smallBytes, "h2load", []string{"-n1000", "-c4", "-m4", "--tls13-ciphers=" + benchCipher}, checkH2load},
}

// A downloadSite is what the servers of the benchmark serve, and with what.
type downloadSite struct{ dir, cert, key, conf string }

// fileServers start a server for the site; port is free.
var fileServers = []struct {
	name  string
	start func(b *testing.B, s downloadSite, port string) (pid int)
}{
	{"penstock", startPenstock},
	{"h2o", startH2o},
	{"nginx", startNginx},
}

func BenchmarkDownload(b *testing.B) {
	s := newDownloads(b)
	for _, d := range downloads {
		b.Run(d.name, func(b *testing.B) { benchDownload(b, s, d) })
	}
}

func benchDownload(b *testing.B, s downloadSite, d download) {
	if _, err := exec.LookPath(d.tool); err != nil {
		b.Skipf("SKIPPED: %s is not installed: %v", d.tool, err)
	}
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		b.Skip("SKIPPED: no /proc here, so a server's CPU time is not known")
	}
	type running struct {
		name, url string
		pid       int
	}
	var servers []running
	for _, f := range fileServers {
		if _, err := exec.LookPath(f.name); err != nil && f.name != "penstock" {
			b.Logf("SKIPPED: %s is not installed, so there is no figure beside it: %v", f.name, err)
			continue
		}
		port := freePort(b)
		r := running{f.name, "https://localhost:" + port + "/" + d.file(), f.start(b, s, port)}
		waitPort(b, f.name, port)
		d.fetch(b, r.url) // warm-up
		servers = append(servers, r)
	}
	cost, ratio, rate := map[string][]float64{}, map[string][]float64{}, map[string][]float64{}
	gib := float64(d.files) * float64(d.bytes) / (1 << 30)
	for b.Loop() {
		for _, r := range servers {
			cpu, begin := treeCPU(b, r.pid), time.Now()
			d.fetch(b, r.url)
			took := time.Since(begin)
			cpu = treeCPU(b, r.pid) - cpu
			cost[r.name] = append(cost[r.name], cpu.Seconds()*1e3/gib)
			rate[r.name] = append(rate[r.name], gib*(1<<30)/1e6/took.Seconds())
			if of := cost["penstock"]; r.name != "penstock" {
				ratio[r.name] = append(ratio[r.name], cost[r.name][len(cost[r.name])-1]/of[len(of)-1])
			}
		}
	}
	b.ReportMetric(0, "ns/op") // a round's length: says nothing
	for _, r := range servers {
		b.ReportMetric(medianOf(cost[r.name]), r.name+"-cpu-ms/GiB")
		b.ReportMetric(medianOf(rate[r.name]), r.name+"-MB/s")
		if r.name != "penstock" {
			b.ReportMetric(medianOf(ratio[r.name]), "x-"+r.name)
		}
	}
}

func medianOf(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// fetch runs the client once.
func (d download) fetch(b *testing.B, url string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, d.tool, append(slices.Clone(d.args), url)...)
	pin(cmd, clientCPU)
	out, err := cmd.CombinedOutput()
	if err == nil {
		err = d.check(string(out), d)
	}
	if err != nil {
		b.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}

func checkCurl(out string, d download) error {
	if want := fmt.Sprintf("2 200 %d", d.bytes); out != want {
		return fmt.Errorf("curl got (version, status, bytes) %q, want %q", out, want)
	}
	return nil
}

// h2loadSays are the lines that count: "status codes: 1 2xx, …", "traffic: …
// (1073741824) data", and the protocol, which falls back silently.
var h2loadSays = regexp.MustCompile(`(?s)Cipher: (\S+).*Application protocol: (\S+).* (\d+) succeeded, (\d+) failed.*status codes: (\d+) 2xx.*\((\d+)\) data`)

func checkH2load(out string, d download) error {
	m := h2loadSays.FindStringSubmatch(out)
	n := strconv.Itoa(d.files)
	want := []string{benchCipher, "h2", n, "0", n, strconv.FormatInt(int64(d.files)*d.bytes, 10)}
	if m == nil || !slices.Equal(m[1:], want) {
		return fmt.Errorf("h2load got (cipher, protocol, succeeded, failed, 2xx, bytes) %q, want %q", m, want)
	}
	return nil
}

// newDownloads makes the files. Servers that drop to another user can read them.
func newDownloads(b *testing.B) downloadSite {
	b.Helper()
	dir, err := os.MkdirTemp("", "download") //nolint:usetesting // the parent of b.TempDir is closed to servers that drop to another user
	must(b, err)
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	must(b, os.Chmod(dir, 0o755))
	s := downloadSite{dir: filepath.Join(dir, "www"), cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"), conf: dir}
	must(b, os.Mkdir(s.dir, 0o755))
	for name, size := range map[string]int64{bigFile: bigBytes, smallFile: smallBytes} {
		path := filepath.Join(s.dir, name)
		must(b, os.WriteFile(path, nil, 0o644))
		must(b, os.Truncate(path, size))
	}
	cert, err := certs.SelfSigned([]string{"localhost", "127.0.0.1"})
	must(b, err)
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	must(b, err)
	for path, block := range map[string]*pem.Block{
		s.cert: {Type: "CERTIFICATE", Bytes: cert.Certificate[0]}, s.key: {Type: "PRIVATE KEY", Bytes: key},
	} {
		must(b, os.WriteFile(path, pem.EncodeToMemory(block), 0o600))
	}
	return s
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func startPenstock(b *testing.B, s downloadSite, port string) (pid int) {
	b.Helper()
	p := launch(b, []string{"GOMAXPROCS=1"}, "file-server", "--root", s.dir, "--tls-listen", "127.0.0.1:"+port,
		"--tls-cert-file", s.cert, "--tls-private-key-file", s.key)
	pin(p.cmd, serverCPU)
	p.announce()
	u, err := url.Parse(p.urls[0])
	must(b, err)
	if u.Port() != port {
		b.Fatalf("penstock serves at %s, want port %s", u, port)
	}
	return p.cmd.Process.Pid
}

func startH2o(b *testing.B, s downloadSite, port string) (pid int) {
	return startPeer(b, s, "h2o", fmt.Sprintf(`num-threads: 1
listen:
  host: 127.0.0.1
  port: %s
  ssl: {certificate-file: %s, key-file: %s, minimum-version: TLSv1.2}
hosts:
  default:
    paths:
      "/": {file.dir: %s}
`, port, s.cert, s.key, s.dir))
}

func startNginx(b *testing.B, s downloadSite, port string) (pid int) {
	return startPeer(b, s, "nginx", fmt.Sprintf(`worker_processes 1;
daemon off;
pid %[1]s/nginx.pid;
error_log %[1]s/nginx.err;
events { worker_connections 1000; multi_accept on; }
http {
  access_log off;
  sendfile on; tcp_nopush on; tcp_nodelay on;
  open_file_cache max=1000;
  keepalive_requests 100000000;
  ssl_certificate %[2]s; ssl_certificate_key %[3]s; ssl_protocols TLSv1.2 TLSv1.3;
  server { listen 127.0.0.1:%[4]s ssl http2; root %[5]s; }
}
`, s.conf, s.cert, s.key, port, s.dir))
}

// startPeer runs another server until the benchmark ends.
func startPeer(b *testing.B, s downloadSite, name, conf string) (pid int) {
	b.Helper()
	path := filepath.Join(s.conf, name+".conf")
	must(b, os.WriteFile(path, []byte(conf), 0o644))
	cmd := exec.Command(name, "-c", path)
	pin(cmd, serverCPU)
	log, err := os.Create(filepath.Join(s.conf, name+".log"))
	must(b, err)
	cmd.Stdout, cmd.Stderr = log, log
	must(b, cmd.Start())
	b.Cleanup(func() {
		for _, pid := range slices.Backward(tree(cmd.Process.Pid)) {
			if p, err := os.FindProcess(pid); err == nil {
				_ = p.Kill()
			}
		}
		_ = cmd.Wait()
		_ = log.Close()
		if text, err := os.ReadFile(log.Name()); b.Failed() && err == nil {
			b.Logf("%s said:\n%s", name, text)
		}
	})
	return cmd.Process.Pid
}

const serverCPU, clientCPU = 0, 1

// pin lets cmd run on one CPU, if there are two and taskset is installed.
func pin(cmd *exec.Cmd, cpu int) {
	taskset, err := exec.LookPath("taskset")
	if err != nil || runtime.NumCPU() < 2 || cmd.Err != nil {
		return
	}
	// taskset becomes the command: the process is the same.
	cmd.Args = append([]string{taskset, "-c", strconv.Itoa(cpu), cmd.Path}, cmd.Args[1:]...)
	cmd.Path = taskset
}

// tree is a process with all its descendants.
func tree(pid int) []int {
	pids := []int{pid}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, name := range tasks {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // ended
		}
		for child := range strings.FieldsSeq(string(text)) {
			if n, err := strconv.Atoi(child); err == nil {
				pids = append(pids, tree(n)...)
			}
		}
	}
	return pids
}

// treeCPU is the user and system time of a tree (proc(5): in 10 ms).
func treeCPU(b *testing.B, pid int) (sum time.Duration) {
	b.Helper()
	for _, p := range tree(pid) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
		if err != nil && p != pid {
			continue
		}
		must(b, err)
		_, rest, _ := bytes.Cut(text, []byte(") ")) // field 3 begins here
		fields := strings.Fields(string(rest))
		for _, field := range fields[14-3 : 16-3] {
			ticks, err := strconv.Atoi(field)
			must(b, err)
			sum += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return sum
}

func freePort(b *testing.B) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	must(b, err)
	return port
}

func waitPort(b *testing.B, name, port string) {
	b.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var conn net.Conn
		if conn, err = net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			_ = conn.Close()
			return
		}
	}
	b.Fatalf("%s does not listen: %v", name, err)
}
