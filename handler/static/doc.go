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
// values (entry.go, cache.go). A hit takes no lock, no system call and no
// allocation; once a second one request asks the file system whether the file
// is still the same. A larger file is opened for each request and copied to
// the ResponseWriter, whose ReadFrom may use sendfile.
//
// # Limits
//
// 1024 cached files, 64 MiB of contents, 128 KiB each, 16 ranges a request,
// 10,000 entries a listing.
//
// # Limitations
//
// Several ranges that do not merge into one are answered with the whole file,
// as RFC 9110 §14.2 allows. There are no precompressed variants. A symbolic
// link with an absolute target is refused even if that lies below the root. A
// file overwritten in place, without a new size or time, is not noticed.
// Misses are not cached.
package static
