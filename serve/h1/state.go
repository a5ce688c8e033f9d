package h1

// state is where a connection stands. All changes go through enter.
//
//	  +--------------------------------------------+
//	  v                                            |
//	head --request--> handler --answered--> (drain-+)
//	  |                  |                     |
//	  | refused, 408     | close               | too much, too slow
//	  v                  v                     v
//	linger ----------> over <------------------+
type state uint8

const (
	stateHead    state = iota // waiting for a request head, or idle
	stateHandler              // a handler runs
	stateDrain                // the answer is out, the rest of its request's body is read
	stateLinger               // FIN is sent, input is read and thrown away
	stateOver                 // closed, or hijacked
)

// moves are the legal changes: moves[from] has a bit for each to.
var moves = [...]uint8{
	stateHead:    1<<stateHandler | 1<<stateLinger | 1<<stateOver,
	stateHandler: 1<<stateHead | 1<<stateDrain | 1<<stateLinger | 1<<stateOver,
	stateDrain:   1<<stateHead | 1<<stateLinger | 1<<stateOver,
	stateLinger:  1 << stateOver,
	stateOver:    1 << stateOver,
}

func (c *Conn) enter(s state) {
	if moves[c.state]&(1<<s) == 0 {
		panic("BUG: h1: illegal change of state")
	}
	c.state = s
}
