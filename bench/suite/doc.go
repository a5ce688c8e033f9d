// Package suite runs penstock beside its peers on the same work, and makes the
// tables of BENCHMARKS.md from what it measured.
//
// # How it measures
//
// A server has one core, the load generator (penstock bench) another. Servers take
// turns round by round (A B C, A B C, ...), each started anew and warmed up first.
// The figure is the server's own CPU time by request: user and system time of its
// whole process tree. It does not depend on how much the generator can do; rate
// and latency stand beside it.
//
// A run with a failed request is void. One in which the generator was busy for more
// than 90 % of its core is marked: its rate is the generator's.
//
// # The way of a run
//
//	site.go      certificates, files and configurations in a temporary folder
//	target.go    penstock and its peers: what they are started with
//	work.go      what is asked
//	process.go   a pinned process, its tree's CPU time and memory
//	run.go       rounds; the generator as a child; one Run each
//	result.go    all runs with environment, versions and commands, as JSON
//	table.go     medians, spread and ratios; BENCHMARKS.md between its markers
//	chart.go     the same as SVG
package suite
