package suite

import (
	"errors"
	"fmt"
)

// origin is what proxies pass requests on to, on the generator's cores.
type origin struct {
	name    string // nginx or penstock
	process *process
}

// startOrigin runs nginx or, where it is not there, penstock: enough to prove that
// the works run, and told in their results.
func (s *Suite) startOrigin(where *site) (*origin, error) {
	for try := 1; ; try++ {
		o, err := s.tryOrigin(where)
		if err == nil || try == attempts {
			return o, err
		}
		s.Log("RETRY origin: %v", err)
		port, perr := freePort()
		if perr != nil {
			return nil, errors.Join(err, perr)
		}
		where.originPort = port
	}
}

func (s *Suite) tryOrigin(where *site) (*origin, error) {
	o := &origin{name: "nginx"}
	path, err := inPath("nginx")(s)
	start := nginxOrigin(where.dir, path, where.originPort)
	if err != nil {
		s.Log("the origin of proxies is penstock: there is no nginx (apt-get install nginx)")
		o.name = "penstock"
		start = &launch{args: []string{s.Penstock, "respond", "--body", helloText, "--max-request-body", "0", "--listen", fmt.Sprint("127.0.0.1:", where.originPort)}}
	}
	if err := where.write(start.files...); err != nil {
		return nil, err
	}
	if o.process, err = startProcess(s.LoadCores, start.env, start.args...); err != nil {
		return nil, err
	}
	if err := o.process.waitPort(where.originPort); err != nil {
		o.process.stop()
		return nil, fmt.Errorf("origin: %w", err)
	}
	return o, nil
}

func (o *origin) stop() {
	if o != nil {
		o.process.stop()
	}
}

// nginxOrigin answers 13 bytes.
func nginxOrigin(dir, binary string, port int) *launch {
	return &launch{args: []string{binary, "-c", dir + "/origin.conf"}, files: []file{{"origin.conf", fmt.Sprintf(`worker_processes 1; daemon off; pid %[1]s/origin.pid; error_log %[1]s/origin.err;
events { worker_connections 8000; }
http { access_log off; keepalive_requests 100000000; keepalive_timeout 300; client_body_buffer_size 128k; client_max_body_size 10m;
 client_body_temp_path %[1]s/origin-body; proxy_temp_path %[1]s/origin-proxy;
 server { listen 127.0.0.1:%[2]d; location = /hello { default_type text/plain; return 200 "%[3]s"; } } }
`, dir, port, helloText)}}}
}
