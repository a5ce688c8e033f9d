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
// A run with a failed request is void. One in which something merely took too long
// (a server that is slow to start, time-outs, too few requests) is made again, and
// void in the end, but no fault: a busy machine is not penstock's. One in which the
// generator was busy for more than 90 % of its core is marked: its rate is the
// generator's.
//
// # The way of a run
//
//	site.go         certificates and files in a temporary folder
//	target.go       penstock and its peers: where they are
//	servers.go      what each is started with; peers.go for those of bench/targets
//	work.go         what is asked
//	run.go          all works by all targets, round by round
//	turn.go         a server started for one Run, again if that may help
//	process.go      a pinned process, its tree's CPU time and memory
//	generator.go    the generator as a child
//	result.go       all runs with where and when, as JSON
//	cell.go         medians, spread and ratios
//	table.go        BENCHMARKS.md between its markers; chart.go the same as SVG
package suite
