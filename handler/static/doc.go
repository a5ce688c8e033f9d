// Package static serves the files below one directory.
//
// # Which files
//
// A path is judged once, after the one decoding net/url did (path.go); the
// same bytes then name the file. os.Root keeps the walk below the directory,
// symbolic links included. Only regular files are served; what begins with a
// dot is not there, except .well-known at the top (RFC 8615).
//
// # Reading path
//
// A small file is kept in memory together with its validators and its field
// values (entry.go, cache.go); a larger one is kept open, and sent from explicit
// offsets, so that answers share its descriptor (handler.SendFile). A hit takes no
// lock, no system call and no allocation of its own; once a second one request asks
// the file system whether the file is still the same. Missing files are remembered
// apart (misses.go), so that made-up names push nothing out.
//
// # Variants
//
// With Options.Precompressed the siblings f.zst, f.br and f.gz are looked for and
// chosen by Accept-Encoding (precompressed.go, variant.go). The choice never
// depends on Range; ranges are of the bytes that were chosen, one or several
// (range.go, multipart.go).
//
// # Limits
//
// 1024 cached files, as many misses and open files (but an eighth of the
// descriptors), 64 MiB of contents, 128 KiB each, 16 ranges a request, 10,000
// entries a listing.
//
// # Limitations
//
// A symbolic link with an absolute target is refused even if that lies below the
// root. A file overwritten in place, without a new size or time, is not noticed.
package static
