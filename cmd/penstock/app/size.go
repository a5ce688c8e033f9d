package app

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a flag's value: a number of bytes, such as 512, 64KiB or 1MB.
type Size int64

var errSize = errors.New("a size is a whole number with B, kB, KiB, MB, MiB, GB or GiB, such as 64KiB")

// sizeUnits is read only.
var sizeUnits = map[string]int64{
	"": 1, "B": 1, "kB": 1000, "KB": 1000, "KiB": 1 << 10,
	"MB": 1e6, "MiB": 1 << 20, "GB": 1e9, "GiB": 1 << 30,
}

// String is the size in bytes.
func (s *Size) String() string { return strconv.FormatInt(int64(*s), 10) }

// Set reads a size.
func (s *Size) Set(text string) error {
	digits := strings.TrimRight(text, "BKMGkib ")
	unit, ok := sizeUnits[strings.TrimSpace(text[len(digits):])]
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil {
		return errSize
	}
	if n < 0 {
		return errors.New("must not be negative")
	}
	if n > math.MaxInt64/unit {
		return fmt.Errorf("more than %d bytes", int64(math.MaxInt64))
	}
	*s = Size(n * unit)
	return nil
}

// Type is the name of the value in help texts.
func (s *Size) Type() string { return "SIZE" }
