package app

// What tests from outside use of the helpers: those that need an HTTP/3 client
// are in package app_test, because of the import table (layers_test.go).

// Process is a running penstock.
type Process = process

// AnyPort and Patience are as inside.
const (
	AnyPort  = anyPort
	Patience = patience
)

// The helpers, with the names they have inside.
var (
	Start     = start
	NewClient = newClient
	Field     = field
)

// URLs are the announced addresses, in order.
func (p *process) URLs() []string { return p.urls }

// The methods, with the names they have inside.
var (
	Signal = (*process).signal
	Wait   = (*process).wait
)
