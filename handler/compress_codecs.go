package handler

import (
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// knownEncodings are the content codings this package can make, the better first.
func knownEncodings() []string { return []string{"zstd", "gzip"} }

// newEncoder makes one. Settings were checked: an error would be ours.
func newEncoder(coding string, s encoderSettings) encoder {
	if coding == "gzip" {
		enc, err := gzip.NewWriterLevel(io.Discard, s.level)
		if err != nil {
			panic("BUG: " + err.Error())
		}
		return enc
	}
	enc, err := zstd.NewWriter(
		nil, zstd.WithEncoderLevel(zstdLevel(s.level)), zstd.WithWindowSize(s.windowBytes),
		zstd.WithEncoderConcurrency(1), // in the caller's goroutine: none is left behind
		zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false),
		zstd.WithZeroFrames(true), // an answer without content is still one of its coding
	)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return enc
}

// zstdLevel: the best of its levels is left out, it costs ten times the memory.
func zstdLevel(level int) zstd.EncoderLevel {
	switch {
	case level <= 3:
		return zstd.SpeedFastest
	case level <= 7:
		return zstd.SpeedDefault
	}
	return zstd.SpeedBetterCompression
}
