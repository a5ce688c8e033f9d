package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxResultBytes bounds what ReadResult and ReadRamp take: a day of intervals of a
// second is some 20 MiB.
const maxResultBytes = 64 << 20

var errTooLong = fmt.Errorf("longer than %d MiB", maxResultBytes>>20)

// ReadResult reads the JSON form of a Result. What is of another schema, or no
// result at all, is an error.
func ReadResult(r io.Reader) (*Result, error) {
	text, err := readBounded(r)
	if err != nil {
		return nil, err
	}
	if isRamp(text) {
		return nil, errors.New("this is a search for the highest rate (--find-max), not one run")
	}
	var res Result
	if err := json.Unmarshal(text, &res); err != nil {
		return nil, fmt.Errorf("not a result of penstock bench: %w", err)
	}
	return &res, res.check()
}

// check refuses what cannot be read on: the other fields may be missing.
func (r *Result) check() error {
	switch {
	case r.Schema == 0:
		return errors.New("not a result of penstock bench: it has no schema")
	case r.Schema != Schema:
		return fmt.Errorf("schema %d, this penstock reads %d", r.Schema, Schema)
	case r.Latency == nil || r.Latency.h == nil:
		return errors.New("not a result of penstock bench: it has no latency")
	}
	for _, h := range []**Histogram{&r.Service, &r.FirstByte, &r.Connect, &r.Lag} {
		if *h != nil && (*h).h == nil { // an object without its counts
			*h = nil
		}
	}
	return nil
}

// ReadRamp reads the JSON form of a Ramp.
func ReadRamp(r io.Reader) (*Ramp, error) {
	text, err := readBounded(r)
	if err != nil {
		return nil, err
	}
	if !isRamp(text) {
		return nil, errors.New("not a search for the highest rate (--find-max)")
	}
	var ramp Ramp
	if err := json.Unmarshal(text, &ramp); err != nil {
		return nil, err
	}
	if ramp.Schema != Schema {
		return nil, fmt.Errorf("schema %d, this penstock reads %d", ramp.Schema, Schema)
	}
	for i, s := range ramp.Steps {
		if s.Result == nil {
			return nil, fmt.Errorf("step %d has no result", i+1)
		}
		if err := s.Result.check(); err != nil {
			return nil, fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return &ramp, nil
}

func readBounded(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxResultBytes+1))
	if err == nil && len(text) > maxResultBytes {
		err = errTooLong
	}
	return text, err
}

func isRamp(text []byte) bool {
	var probe struct {
		Kind string `json:"kind"`
	}
	return json.Unmarshal(text, &probe) == nil && probe.Kind == KindRamp
}
