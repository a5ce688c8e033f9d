package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Profile runs penstock under each work, and writes what its admin address tells
// meanwhile: NAME.cpu.pb.gz and NAME.allocs.pb.gz in dir.
func (s *Suite) Profile(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "penstock-profile-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	where, err := newSite(folder)
	if err != nil {
		return err
	}
	o, err := s.startOrigin(where)
	defer o.stop()
	for _, w := range s.Works {
		switch {
		case w.Kind == Idle:
			continue
		case w.Kind == Proxy && err != nil:
			s.Log("SKIPPED %s: %v", w.Name, err)
			continue
		}
		if err := s.profile(ctx, where, w, dir); err != nil {
			return fmt.Errorf("%s: %w", w.Name, err)
		}
		s.Log("%s: %s", w.Name, filepath.Join(dir, w.Name+".cpu.pb.gz"))
	}
	return nil
}

func (s *Suite) profile(ctx context.Context, where *site, w Work, dir string) error {
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	p := &place{dir: where.dir, binary: s.Penstock, work: w, clear: ports[0], tls: ports[1], origin: where.originPort, workers: 1}
	start := startPenstock(p)
	if err := where.write(start.files...); err != nil {
		return err
	}
	admin := fmt.Sprint("127.0.0.1:", ports[2])
	server, err := startProcess(s.ServerCores, []string{"GOMAXPROCS=1"}, append(start.args, "--admin", admin)...)
	if err != nil {
		return err
	}
	defer server.stop()
	if err := errors.Join(server.waitPort(ports[0]), server.waitPort(ports[2])); err != nil {
		return err
	}
	loaded := make(chan error, 1)
	go func() {
		_, err := s.load(ctx, p, loadOptions{duration: s.Duration + 2*time.Second})
		loaded <- err
	}()
	time.Sleep(time.Second) // the load has begun
	for name, path := range map[string]string{"cpu": "profile", "allocs": "allocs"} {
		from := fmt.Sprintf("http://%s/debug/pprof/%s?seconds=%d", admin, path, max(1, int(s.Duration.Seconds())/2))
		err = errors.Join(err, fetch(ctx, from, filepath.Join(dir, w.Name+"."+name+".pb.gz")))
	}
	return errors.Join(err, <-loaded)
}

// fetch writes what is at url into a file.
func fetch(ctx context.Context, url, file string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, resp.Body)
	return errors.Join(err, f.Close())
}
