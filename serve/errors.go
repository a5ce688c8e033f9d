package serve

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/penstock-edge/penstock/serve/h3"
)

// ErrServerClosed is http.ErrServerClosed: Serve answers it after Shutdown or Close.
var ErrServerClosed = http.ErrServerClosed

var (
	errSteerByte    = fmt.Errorf("the packets of HTTP/3 are steered by byte %d of their connection IDs; set PacketConfig.SteerByte to that", h3.SteerByte)
	errNilListener  = errors.New("listener must not be nil")
	errNilHandler   = errors.New("handler must not be nil")
	errNoCert       = errors.New("TLS needs a certificate: set TLSConfig.Certificates or GetCertificate, or give certificate and key files")
	errHandshakes   = errors.New("serve: too many TLS handshakes at once")
	errNoProtocol   = errors.New("serve: DisableHTTP1 and DisableHTTP2 leave no protocol; clear one of them")
	errPerClient    = errors.New("serve: the client has as many connections as it may")
	errNotThisProto = errors.New("serve: the peer speaks a protocol that is not offered")
)
