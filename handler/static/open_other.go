//go:build !linux

package static

import "os"

// openFlags: these systems' files are opened as os does it.
const openFlags = 0

// descriptorLimit: these systems are not asked.
func descriptorLimit() int64 { return otherDescriptorLimit }

// stamp is what shows that an open file was written to: size and time.
func stamp(_ uintptr, f *os.File) (size, mtime int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	return info.Size(), info.ModTime().UnixNano(), nil
}
