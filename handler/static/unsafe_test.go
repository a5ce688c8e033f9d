package static

import "unsafe"

// unsafeString is a string whose bytes a recycling engine may overwrite.
func unsafeString(b []byte) string { return unsafe.String(&b[0], len(b)) }
