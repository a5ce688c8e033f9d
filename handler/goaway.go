package handler

import (
	"fmt"
	"math/rand/v2"
)

// maxGoawayChance: of more, clients would do little but connect.
const maxGoawayChance = 0.02

// Goaway ends connections of HTTP/2 and HTTP/3 by chance, so that clients which
// keep them for ever spread over all servers again, those behind a balancer of
// connections among them. The request itself is served, and those beside it.
// Long-running ones are left alone, and HTTP/1, whose connections carry one
// request at a time.
type Goaway struct {
	chance float64
	draw   func() float64
}

// NewGoaway makes the stage, or nil if chance is 0. It is 0.02 at most.
func NewGoaway(chance float64) (Stage, error) {
	switch {
	case !(chance >= 0 && chance <= maxGoawayChance): // also NaN
		return nil, fmt.Errorf("goaway chance %v: between 0 and %v", chance, maxGoawayChance)
	case chance == 0:
		return nil, nil
	}
	return &Goaway{chance, rand.Float64}, nil
}

// Begin draws for x. The engines turn the field into GOAWAY.
func (g *Goaway) Begin(x *Exchange) bool {
	if x.Request.ProtoMajor >= 2 && !x.Info.LongRunning && g.draw() < g.chance {
		x.Writer().Header()["Connection"] = closeConn
	}
	return true
}
