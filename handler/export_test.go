package handler

// What is measured in memory (default_chain_bench_test.go) and over sockets
// (chain_cost_test.go) has the same options.
var (
	UpstreamsOptions = upstreamsOptions
	AllOptions       = allOptions
)
