package bench

import (
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// adminPage is what a penstock answers at /metrics, as far as it matters.
func adminPage(requests int, cpu float64, buckets ...int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# HELP penstock_requests_total x\n# TYPE penstock_requests_total counter\npenstock_requests_total %d\n", requests)
	fmt.Fprintf(&b, "process_cpu_seconds_total %v\nprocess_resident_memory_bytes 1.5e+07\n", cpu)
	for i, bound := range []string{"0.001", "0.01", "0.1", "+Inf"}[:len(buckets)] {
		fmt.Fprintf(&b, "request_duration_seconds_bucket{class=\"readOnly\",route=\"a\",le=%q} %d\n", bound, buckets[i])
		fmt.Fprintf(&b, "request_duration_seconds_bucket{class=\"mutating\",route=\"b,le=\\\"\",le=%q} 0\n", bound)
	}
	return b.String()
}

func adminHandler(page *string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"version":"v1.2.3","go":"go1.26"}`)
	})
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, *page) })
	return mux
}

func TestAdmin(t *testing.T) {
	page := adminPage(100, 1, 100, 100, 100, 100)
	path := filepath.Join(t.TempDir(), "admin")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	unix := &http.Server{Handler: adminHandler(&page)}
	go func() { _ = unix.Serve(l) }()
	defer unix.Close()
	tcp := httptest.NewServer(adminHandler(&page))
	defer tcp.Close()
	for _, address := range []string{tcp.URL, tcp.URL + "/", "unix:" + path} {
		page = adminPage(100, 1, 100, 100, 100, 100)
		admin, err := OpenAdmin(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		before, err := admin.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		page = adminPage(1100, 1.5, 700, 1090, 1100, 1100) // 600 up to 1 ms, 390 up to 10, 10 up to 100
		after, err := admin.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s := after.Since(before)
		if s.Version != "v1.2.3" || s.Requests != 1000 || s.CPUSeconds != .5 || s.MicrosPerRequest != 500 || s.ResidentBytes != 15_000_000 {
			t.Errorf("%+v", s)
		}
		for _, q := range []struct{ got, want float64 }{{s.Lowest, .001}, {s.P50, .001}, {s.P90, .001 + .009*300/390}, {s.P99, .01}} {
			if math.Abs(q.got-q.want) > 1e-9 {
				t.Errorf("%s: percentile %v, want %v", address, q.got, q.want)
			}
		}
	}
}

// The default is tried at any run against loopback: others answer there too.
func TestAdminIsNoPenstock(t *testing.T) {
	page := "go_goroutines 1\n"
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	for _, address := range []string{other.URL, "unix:/none", "127.0.0.1:1", "ftp://x", "http://"} {
		if _, err := OpenAdmin(t.Context(), address); err == nil {
			t.Errorf("%s was taken for a penstock", address)
		}
	}
	half := httptest.NewServer(adminHandler(&page))
	defer half.Close()
	admin, err := OpenAdmin(t.Context(), half.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Read(t.Context()); err == nil {
		t.Error("metrics without a penstock's counters were read")
	}
}

func TestBucketQuantile(t *testing.T) {
	inf := math.Inf(1)
	for name, test := range map[string]struct {
		took map[float64]float64
		q    float64
		want float64
	}{
		"nothing":         {nil, .5, 0},
		"no answers":      {map[float64]float64{1: 0, inf: 0}, .5, 0},
		"between":         {map[float64]float64{1: 2, 2: 2, 3: 4, inf: 4}, .75, 2.5},
		"above all":       {map[float64]float64{1: 0, inf: 5}, .5, 1},
		"empty ones skip": {map[float64]float64{1: 0, 2: 0, 3: 4, inf: 4}, .5, 3},
	} {
		if got := bucketQuantile(test.took, test.q); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func FuzzParseMetrics(f *testing.F) {
	f.Add(adminPage(100, 1, 1, 2, 3, 4))
	f.Add("penstock_requests_total NaN\nrequest_duration_seconds_bucket{le=\"NaN\"} 1\n")
	f.Add("penstock_requests_total 1e308\npenstock_requests_total 1e308\n")
	f.Fuzz(func(t *testing.T, page string) {
		r, err := parseMetrics(strings.NewReader(page))
		if err != nil {
			return
		}
		s := r.Since(Reading{})
		if s.P50 < 0 && s.P99 < 0 && len(r.took) == 0 {
			t.Errorf("%+v of no buckets", s)
		}
	})
}
