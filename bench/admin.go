package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// DefaultAdmin is where penstock serve has its admin listener.
	DefaultAdmin = "http://127.0.0.1:9901"

	maxMetricsBytes = 8 << 20 // 512 routes with all their series are below 3 MiB
	adminTimeout    = 5 * time.Second
	unixScheme      = "unix:"
)

var errNoPenstock = errors.New("does not answer as a penstock's admin listener")

// Admin reads what a penstock tells at its admin listener. It keeps no connection
// open between two readings.
type Admin struct {
	address string // as given
	base    string
	client  *http.Client
	version string
}

// OpenAdmin asks the admin listener at address, an URL or unix:PATH, for its
// version. What is no penstock is an error.
func OpenAdmin(ctx context.Context, address string) (*Admin, error) {
	a := &Admin{address: address, base: strings.TrimSuffix(address, "/")}
	transport := &http.Transport{DisableKeepAlives: true}
	if path, ok := strings.CutPrefix(address, unixScheme); ok {
		a.base = "http://localhost"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}
	} else if u, err := url.Parse(address); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q: write http://HOST:PORT or unix:PATH", address)
	}
	a.client = &http.Client{Transport: transport, Timeout: adminTimeout}
	var v struct{ Version, Go string }
	err := a.get(ctx, "/version", func(r io.Reader) error { return json.NewDecoder(r).Decode(&v) })
	if err != nil || v.Version == "" || v.Go == "" {
		return nil, fmt.Errorf("%s %w", address, errors.Join(errNoPenstock, err))
	}
	a.version = v.Version
	return a, nil
}

func (a *Admin) get(ctx context.Context, path string, read func(io.Reader) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+path, nil)
	if err != nil {
		return err
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d", path, resp.StatusCode)
	}
	return read(io.LimitReader(resp.Body, maxMetricsBytes))
}

// A Reading is what a server had counted at one moment.
type Reading struct {
	version  string
	requests float64
	cpu      float64 // seconds
	resident float64
	took     map[float64]float64 // answers by the bound of their bucket, in seconds, cumulative
}

// Read takes a reading.
func (a *Admin) Read(ctx context.Context) (Reading, error) {
	var r Reading
	err := a.get(ctx, "/metrics", func(body io.Reader) (err error) {
		r, err = parseMetrics(body)
		return err
	})
	r.version = a.version
	if err != nil {
		return r, fmt.Errorf("%s: %w", a.address, err)
	}
	return r, nil
}

// parseMetrics reads the text format of Prometheus, as far as a Reading needs it.
// Series of one name are summed up over all labels but le. What has no counters of
// a penstock is an error.
func parseMetrics(body io.Reader) (Reading, error) {
	r := Reading{took: map[float64]float64{}}
	known := false
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		name, labels, value, ok := parseSample(lines.Text())
		if !ok {
			continue
		}
		switch name {
		case "penstock_requests_total":
			r.requests += value
			known = true
		case "process_cpu_seconds_total":
			r.cpu += value
		case "process_resident_memory_bytes":
			r.resident += value
		case "request_duration_seconds_bucket":
			if bound, err := strconv.ParseFloat(labelOf(labels, "le"), 64); err == nil && bound == bound {
				r.took[bound] += value
			}
		}
	}
	if err := lines.Err(); err != nil {
		return r, err
	}
	if !known {
		return r, errNoPenstock
	}
	return r, nil
}

// parseSample parts a line such as name{a="b"} 1.
func parseSample(line string) (name, labels string, value float64, ok bool) {
	if strings.HasPrefix(line, "#") {
		return "", "", 0, false
	}
	i := strings.LastIndexByte(line, ' ')
	if i < 0 {
		return "", "", 0, false
	}
	name, labels, _ = strings.Cut(line[:i], "{")
	value, err := strconv.ParseFloat(line[i+1:], 64)
	return name, labels, value, err == nil && math.Abs(value) < 1e18 // not NaN, and sums stay finite
}

// labelOf is the value of a label that has no quote in its value.
func labelOf(labels, name string) string {
	for rest := labels; ; {
		i := strings.Index(rest, name+`="`)
		if i < 0 {
			return ""
		}
		before := rest[:i]
		rest = rest[i+len(name)+2:]
		if before == "" || strings.HasSuffix(before, ",") {
			value, _, _ := strings.Cut(rest, `"`)
			return value
		}
	}
}

// Since is what the server did from former to r.
func (r Reading) Since(former Reading) *Server {
	s := &Server{
		Version: r.version, CPUSeconds: max(r.cpu-former.cpu, 0),
		Requests: int64(max(r.requests-former.requests, 0)), ResidentBytes: int64(min(r.resident, 1<<62)),
	}
	if s.Requests > 0 {
		s.MicrosPerRequest = s.CPUSeconds * 1e6 / float64(s.Requests)
	}
	took := map[float64]float64{}
	for bound, n := range r.took {
		took[bound] = max(n-former.took[bound], 0)
	}
	if bounds := slices.Sorted(maps.Keys(took)); len(bounds) > 0 && bounds[0] > 0 && !math.IsInf(bounds[0], 0) {
		s.Lowest = bounds[0]
	}
	s.P50, s.P90, s.P99 = bucketQuantile(took, .5), bucketQuantile(took, .9), bucketQuantile(took, .99)
	return s
}

// bucketQuantile is the quantile of cumulative buckets, evenly spread within each
// as Prometheus does, but for the lowest: what is in that is told as its bound. 0:
// there is nothing.
func bucketQuantile(took map[float64]float64, q float64) float64 {
	bounds := slices.Sorted(maps.Keys(took))
	if len(bounds) == 0 || took[bounds[len(bounds)-1]] == 0 {
		return 0
	}
	want := q * took[bounds[len(bounds)-1]]
	var from, below float64
	for _, to := range bounds {
		n := took[to]
		if n >= want && n > below {
			switch {
			case math.IsInf(to, 1): // all that is known is a lower bound
				return from
			case below == 0:
				return to
			}
			return from + (to-from)*(want-below)/(n-below)
		}
		from, below = to, n
	}
	return from
}
