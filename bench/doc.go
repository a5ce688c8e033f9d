// Package bench is a load generator for HTTP/1.1, HTTP/2 and HTTP/3 with clients
// of its own.
//
// Run asks a server as Options say and answers a Result: counts, histograms,
// rates over time, and what the generator itself cost, so that one sees when it
// is the limit.
//
// # Closed and open loop
//
// Without a rate each connection (HTTP/2 and HTTP/3: each stream of one) sends
// its next request when the last was answered: a closed loop. It finds the
// highest rate, but a server that stalls is asked less while it does, and its
// latencies look better than users see them (coordinated omission).
//
// With Options.Rate requests have intended times, evenly spaced, and latency
// counts from those, whether or not the request could leave then: an open loop.
// Only its percentiles are to be quoted.
//
// # What the clock can tell
//
// Times are of one clock reading for each piece that was read (64 KiB at most) and,
// in an open loop, for each connection that is written to. The loop wakes for a start
// up to 25 µs behind its time (a timer of Linux is another 50 µs late at most, and of
// others more), and sends those that came due by then together. What the generator was
// late by its own fault is Result.Lag; above LagLimit reports say so.
package bench
