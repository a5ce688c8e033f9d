package bench

import (
	"encoding/json"
	"fmt"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// Histogram bounds: a value is kept with three digits, from a microsecond to an
// hour; what is longer counts as an hour.
const (
	histogramLowest  = int64(time.Microsecond)
	histogramHighest = int64(time.Hour)
	histogramDigits  = 3
)

// Histogram of durations. It is not safe for concurrent use: each loop has its
// own, and they are merged.
type Histogram struct{ h *hdr.Histogram }

// NewHistogram makes an empty one.
func NewHistogram() *Histogram {
	return &Histogram{hdr.New(histogramLowest, histogramHighest, histogramDigits)}
}

// Record counts d once. What is below a microsecond counts as one.
func (h *Histogram) Record(d time.Duration) {
	_ = h.h.RecordValue(min(max(int64(d), histogramLowest), histogramHighest)) // within bounds: no error
}

// Merge adds the counts of others.
func (h *Histogram) Merge(others ...*Histogram) {
	for _, o := range others {
		if o != nil {
			h.h.Merge(o.h)
		}
	}
}

// Reset forgets all counts.
func (h *Histogram) Reset() { h.h.Reset() }

// Count of recorded durations.
func (h *Histogram) Count() int64 { return h.h.TotalCount() }

// Quantile answers the duration that q (0 to 1) of all do not exceed; 0 when
// nothing was recorded.
func (h *Histogram) Quantile(q float64) time.Duration {
	return time.Duration(h.h.ValueAtQuantile(q * 100))
}

// Min, Max, Mean and StdDev of what was recorded, within three digits.
func (h *Histogram) Min() time.Duration    { return time.Duration(h.h.Min()) }
func (h *Histogram) Max() time.Duration    { return time.Duration(h.h.Max()) }
func (h *Histogram) Mean() time.Duration   { return time.Duration(h.h.Mean()) }
func (h *Histogram) StdDev() time.Duration { return time.Duration(h.h.StdDev()) }

// A Bar is one bucket of a histogram: Count durations up to To.
type Bar struct {
	From, To time.Duration
	Count    int64
}

// Bars answers the buckets that are not empty, in order.
func (h *Histogram) Bars() []Bar {
	var bars []Bar
	for _, b := range h.h.Distribution() {
		if b.Count > 0 {
			bars = append(bars, Bar{time.Duration(b.From), time.Duration(b.To), b.Count})
		}
	}
	return bars
}

// histogramJSON is the form in JSON: percentiles in seconds for who reads it,
// and all counts in HdrHistogram's compressed V2 form (base64), which merges
// exactly, for who computes with it. Its unit is the nanosecond.
type histogramJSON struct {
	Count int64   `json:"count"`
	Min   float64 `json:"min"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P75   float64 `json:"p75"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	P9999 float64 `json:"p9999"`
	Max   float64 `json:"max"`
	HDR   string  `json:"hdr"`
}

// MarshalJSON writes percentiles, and all counts as an HdrHistogram.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	all, err := h.h.Encode(hdr.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, fmt.Errorf("encode histogram: %w", err)
	}
	at := func(q float64) float64 { return h.Quantile(q).Seconds() }
	return json.Marshal(histogramJSON{
		Count: h.Count(), Min: h.Min().Seconds(), Mean: h.Mean().Seconds(), Max: h.Max().Seconds(),
		P50: at(.5), P75: at(.75), P90: at(.9), P99: at(.99), P999: at(.999), P9999: at(.9999),
		HDR: string(all),
	})
}

// UnmarshalJSON reads what MarshalJSON wrote. The percentiles are those of the
// counts, whatever stands beside them.
func (h *Histogram) UnmarshalJSON(b []byte) error {
	var j histogramJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	d, err := hdr.Decode([]byte(j.HDR))
	if err != nil {
		return fmt.Errorf("decode histogram: %w", err)
	}
	h.h = d
	return nil
}
