package suite

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/penstock-edge/penstock/bench"
)

// loadSpare is how much longer than it was told the generator may take: to start,
// to connect, and for its own limits to end what hangs.
const loadSpare = 90 * time.Second

// keyExchange is the only one that is offered: all servers have it. With Go's own
// choice Go's servers would agree on X25519MLKEM768, which costs more, and the others
// on X25519.
const keyExchange = "X25519"

// loadOptions are those that differ between the runs of a work.
type loadOptions struct {
	duration time.Duration
	warmup   time.Duration
	rate     float64 // 0: closed loop
}

// loadArguments are those of penstock bench.
func loadArguments(p *place, o loadOptions) []string {
	w := p.work
	args := []string{
		"bench", "--quiet", "--json", "-", "--connections", fmt.Sprint(w.Connections), "--streams", fmt.Sprint(w.Streams),
		"--protocol", w.Protocol, "--duration", o.duration.String(), "--server-admin", "off",
	}
	if w.TLS {
		args = append(args, "--insecure", "--tls-curves", keyExchange)
	}
	if w.ConnectPerRequest {
		args = append(args, "--connect-per-request")
	}
	if w.Body > 0 {
		args = append(args, "--body", p.path(postFile(w.Body)))
	}
	if w.Kind == Mix {
		args = append(args, "--urls", p.path("mix.urls"))
	}
	if o.warmup > 0 {
		args = append(args, "--warmup", o.warmup.String())
	}
	if o.rate > 0 {
		args = append(args, "--rate", fmt.Sprintf("%.0f", o.rate))
	}
	return append(args, w.url(p))
}

// connectRate is how many connections the generator is given a second for, before
// anything is measured.
const connectRate = 4000

// warmup is how long a work runs before it is measured.
func (s *Suite) warmup(w Work) time.Duration {
	if w.ConnectPerRequest {
		return s.Warmup
	}
	return s.Warmup + time.Duration(w.Connections)*time.Second/connectRate
}

// load runs the generator as a process of its own.
func (s *Suite) load(ctx context.Context, p *place, o loadOptions) (*bench.Result, error) {
	limited, cancel := context.WithTimeout(ctx, o.warmup+o.duration+loadSpare)
	defer cancel()
	cmd := exec.CommandContext(limited, "taskset", append([]string{"-c", s.LoadCores, s.Penstock}, loadArguments(p, o)...)...)
	cmd.Env = append(os.Environ(), fmt.Sprint("GOMAXPROCS=", coreCount(s.LoadCores)))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if limited.Err() != nil && ctx.Err() == nil {
		return nil, &slowError{fmt.Sprintf("the generator was not done %v after its time", loadSpare)}
	}
	r := new(bench.Result)
	if jerr := json.Unmarshal(out, r); jerr != nil {
		text := strings.TrimSpace(errs.String())
		if strings.Contains(text, "timed out") || strings.Contains(text, "timeout") || strings.Contains(text, "deadline") {
			return nil, &slowError{"generator: " + lastLine([]byte(text))}
		}
		return nil, &startError{fmt.Errorf("generator: %w: %s", cmp.Or(err, jerr), lastLine([]byte(text)))}
	}
	return r, nil
}
