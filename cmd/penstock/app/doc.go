// Package app is the command line of penstock: what can be given as a flag or
// in the environment, what is checked before anything starts, and the way from
// start to the end of the drain that all serving commands share.
//
// A serving command is steps that only go in this order, because each gives the
// type the next one needs:
//
//	ServingOptions ─Complete→ CompletedOptions ─Validate→ Run(CompletedOptions, stopCh)
//	  files are read and addresses bound ─→ Config ─Complete→ CompletedConfig
//	  ─CreateServerChain→ *serve.GenericServer ─PrepareRun→ *Prepared ─Run→ exit code
//
// serve runs a chain of three servers (chain.go), with the default stages in
// front. respond and file-server are one server whose only route is their
// handler, and have no stages but those that flags ask for (stages.go).
//
// # Exit codes
//
//	0  clean
//	1  wrong flag or configuration, failed start, fatal error, second signal
//	2  an address could not be bound
//	3  the drain's deadline passed and connections were cut
//	4  requests of bench failed
//
// # Limitations
//
// The route table of the dynamic server has no file format, and no flag has
// routes for the front: serve -c replaces both (config_file.go). What a reload of
// its file does is drawn in config_reload.go. At /metrics there are the counters of engines and logs,
// not those of requests by route.
package app
