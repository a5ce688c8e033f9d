package suite

import (
	"encoding/json"
	"fmt"
	"strings"
)

// startCaddy runs it by a configuration of its own form, without its admin address
// and without what it would do by itself to certificates.
func startCaddy(p *place) *launch {
	type list = []any
	type object = map[string]any
	own := object{"handler": "static_response", "body": helloText, "headers": object{"Content-Type": list{"text/plain"}}}
	routes := list{}
	handler := own
	switch {
	case p.work.Kind == Static:
		handler = object{"handler": "file_server", "root": p.path("www")}
	case p.work.Kind == Proxy:
		handler = object{
			"handler": "reverse_proxy", "upstreams": list{object{"dial": fmt.Sprint("127.0.0.1:", p.origin)}},
			"transport": object{"protocol": "http", "keep_alive": object{"max_idle_conns_per_host": 256}},
		}
	case p.work.Kind == Mix:
		routes = append(routes, object{"match": list{object{"path": list{slowPath}}}, "handle": list{object{"handler": "suite_sleep"}, own}, "terminal": true})
	case p.work.Answer > 0:
		own["body"] = strings.Repeat("x", p.work.Answer)
	}
	routes = append(routes, object{"handle": list{handler}})
	server := func(port int, protocols ...string) object {
		return object{
			"listen": list{fmt.Sprint("127.0.0.1:", port)}, "protocols": protocols, "automatic_https": object{"disable": true}, "routes": routes,
		}
	}
	secure := server(p.tls, "h1", "h2")
	if p.work.Protocol == "h3" {
		secure = server(p.tls, "h1", "h2", "h3")
	}
	secure["tls_connection_policies"] = list{object{}}
	pair := object{"certificate": p.path("cert.pem"), "key": p.path("key.pem")}
	conf, err := json.MarshalIndent(object{
		"admin":   object{"disabled": true, "config": object{"persist": false}},
		"logging": object{"logs": object{"default": object{"level": "ERROR"}}},
		"apps": object{
			"tls":  object{"certificates": object{"load_files": list{pair}}},
			"http": object{"servers": object{"clear": server(p.clear, "h1"), "secure": secure}},
		},
	}, "", " ")
	if err != nil {
		panic("BUG: " + err.Error()) // maps of text and numbers
	}
	return &launch{
		args: []string{p.binary, "run", "--config", p.path("caddy.json")}, files: []file{{"caddy.json", string(conf) + "\n"}},
		env: []string{"HOME=" + p.dir, "XDG_CONFIG_HOME=" + p.dir, "XDG_DATA_HOME=" + p.dir},
	}
}
