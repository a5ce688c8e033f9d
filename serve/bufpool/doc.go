// Package bufpool lends byte buffers: every buffer of the serving core comes
// from here, so that an idle connection can hold none and their sizes are few.
//
// Get and Release are for sizes known beforehand, in three classes (4, 16 and
// 64 KiB). GetRender and PutRender are for text whose size shows only once it
// is rendered.
//
// # Limitations
//
// A buffer that was never released is not missed: it is garbage like any
// other. Built with the tags race or invariants, a released buffer is
// overwritten, so that a late reader sees it, and a double release panics; so is a
// request that an engine uses again (PoisonRequest).
package bufpool
