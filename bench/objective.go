package bench

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// An Objective is an upper bound that a run has to keep.
type Objective struct {
	// Metric is a percentile of Result.Latency (p50, p99, p99.9), max, or errors:
	// the share of requests that failed or were answered 5xx.
	Metric string
	// Most is in seconds, of errors a share of 1.
	Most float64
}

const (
	metricErrors = "errors"
	metricMax    = "max"
)

// ParseObjectives reads a list such as p99=50ms,errors=0.1%. The order is kept,
// and a metric twice is an error.
func ParseObjectives(list string) ([]Objective, error) {
	var all []Objective
	var errs []error
	seen := map[string]bool{}
	for part := range strings.SplitSeq(list, ",") {
		o, err := parseObjective(strings.TrimSpace(part))
		if err == nil && seen[o.Metric] {
			err = fmt.Errorf("%q: %s is bound already", part, o.Metric)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		seen[o.Metric] = true
		all = append(all, o)
	}
	return all, errors.Join(errs...)
}

func parseObjective(text string) (Objective, error) {
	metric, value, ok := strings.Cut(text, "=")
	if !ok {
		return Objective{}, fmt.Errorf("%q: write METRIC=BOUND, such as p99=50ms or errors=0.1%%", text)
	}
	o := Objective{Metric: metric}
	if metric == metricErrors {
		share, err := parseShare(value)
		o.Most = share
		if err != nil {
			return o, fmt.Errorf("%q: the bound of errors is a share, such as 0.1%% or 0", text)
		}
		return o, nil
	}
	if _, ok := quantileOf(metric); !ok {
		return o, fmt.Errorf("%q: the metric must be a percentile such as p50, p99 or p99.9, max or errors", text)
	}
	d, err := time.ParseDuration(value)
	if err != nil || d <= 0 {
		return o, fmt.Errorf("%q: the bound must be a duration with its unit, such as 50ms", text)
	}
	o.Most = d.Seconds()
	return o, nil
}

func parseShare(text string) (float64, error) {
	digits, percent := strings.CutSuffix(text, "%")
	share, err := strconv.ParseFloat(digits, 64)
	if percent {
		share /= 100
	}
	if err == nil && !(share >= 0 && share <= 1) { // NaN is in no range
		err = strconv.ErrRange
	}
	return share, err
}

// quantileOf is the quantile of p99.9, or of max.
func quantileOf(metric string) (float64, bool) {
	if metric == metricMax {
		return 1, true
	}
	digits, ok := strings.CutPrefix(metric, "p")
	percent, err := strconv.ParseFloat(digits, 64)
	return percent / 100, ok && err == nil && percent > 0 && percent <= 100 && !strings.ContainsAny(digits, "eExX_+")
}

// Of is the metric's value in r.
func (o Objective) Of(r *Result) float64 {
	if o.Metric == metricErrors {
		return r.FailedShare()
	}
	q, _ := quantileOf(o.Metric)
	return r.Latency.Quantile(q).Seconds()
}

// Holds tells whether r keeps the bound. Histograms keep three digits, and what
// is over by less than that holds.
func (o Objective) Holds(r *Result) bool {
	if o.Metric == metricErrors {
		return o.Of(r) <= o.Most
	}
	return o.Of(r) <= o.Most*(1+math.Pow10(-histogramDigits))
}

// String is the form that ParseObjectives reads.
func (o Objective) String() string { return o.Metric + "=" + o.Text(o.Most) }

// Text is a value of the metric with its unit.
func (o Objective) Text(value float64) string {
	if o.Metric == metricErrors {
		return strconv.FormatFloat(value*100, 'g', 3, 64) + "%"
	}
	d := time.Duration(value * float64(time.Second)).Round(time.Microsecond)
	switch {
	case d >= time.Second:
		d = d.Round(time.Millisecond)
	case d >= time.Millisecond:
		d = d.Round(10 * time.Microsecond)
	}
	return d.String()
}

// FailedShare is the share of those requests that failed or were answered 5xx
// among all that were not abandoned.
func (r *Result) FailedShare() float64 {
	if ended := r.Completed + r.Failed; ended > 0 {
		return float64(r.Failed+r.ServerErrors()) / float64(ended)
	}
	return 0
}

// ServerErrors counts the answers with a 5xx status.
func (r *Result) ServerErrors() (n int64) {
	for status, count := range r.Status {
		if status >= 500 {
			n += count
		}
	}
	return n
}
