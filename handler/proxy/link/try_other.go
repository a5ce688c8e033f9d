//go:build !unix

package link

import "errors"

// readNow: a socket cannot be read without waiting here; TryRead has another way.
func readNow(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }
