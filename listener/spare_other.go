//go:build !linux

package listener

// Spare is for systems on which the group accepts by itself: here package net
// does, and nothing is reserved.
type Spare struct{}

// NewSpare reserves nothing on this system.
func NewSpare() *Spare { return &Spare{} }

// Shed turns nobody away.
func (*Spare) Shed(*Socket) int { return 0 }

// Shedding is false.
func (*Spare) Shedding() bool { return false }

// Regain does nothing.
func (*Spare) Regain() {}

// Close does nothing.
func (*Spare) Close() error { return nil }
