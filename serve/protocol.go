package serve

import "time"

// protocol is what serve asks of an engine. All but OnHangup, OnCut and
// OnOvertaken are called by whoever owns the connection, never while a handler runs.
type protocol interface {
	OnReadable(now time.Time)
	OnWritable(now time.Time)
	OnTimer(now time.Time)
	OnHangup()
	OnCut()
	OnOvertaken()
	Drain(now time.Time)
	Close() error
}
