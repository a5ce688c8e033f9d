package bufpool

import "github.com/valyala/bytebufferpool"

// Render is a buffer for text of unknown size: append to B, or write to it.
type Render = bytebufferpool.ByteBuffer

// GetRender lends an empty buffer. The pool learns from what comes back how
// large to make new ones, and drops the few that are much larger.
func GetRender() *Render { return bytebufferpool.Get() }

// PutRender gives it back; r.B must not be used afterwards.
func PutRender(r *Render) { bytebufferpool.Put(r) }
