package handler

import (
	"bytes"
	"io"

	"github.com/klauspost/compress/zstd"
)

// unzstd decodes what ours has made, by a reader that wants no more window than
// RFC 9659 §3 allows.
func unzstd(b []byte) ([]byte, error) {
	r, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderMaxWindow(maxWindowBytes), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}
