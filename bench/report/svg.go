package report

import (
	"fmt"
	"html/template"
	"math"
	"strings"
)

// A chart is drawn in these units; the page scales it to its column.
const (
	chartWidth   = 480.
	chartHeight  = 264.
	marginLeft   = 58.
	marginRight  = 14.
	marginTop    = 12.
	marginBottom = 32.
)

// A scale maps values to places along an axis.
type scale struct {
	low, high float64
	log       bool
	from, to  float64 // places of low and high
}

// lowest and highest are bounds of what a chart has room for, in seconds and in
// numbers a second: a file may say anything.
const (
	lowest  = 1e-9
	highest = 1e12
)

// linear is a scale from zero to above high.
func linear(high float64) scale {
	if !(high > lowest) {
		high = 1
	}
	high = min(high, highest)
	step := niceStep(high / 5)
	return scale{low: 0, high: math.Ceil(high/step*1.02) * step}
}

// logarithmic is a scale that includes all positive values.
func logarithmic(values ...float64) scale {
	low, high := math.Inf(1), 0.
	for _, v := range values {
		if v > 0 {
			v = min(max(v, lowest), highest)
			low, high = min(low, v), max(high, v)
		}
	}
	if high == 0 {
		low, high = 1e-3, 1
	}
	// Down and up to the next of 1, 2, 5, so that the ends have a tick.
	return scale{low: niceBelow(low), high: niceAbove(high * 1.05), log: true}
}

func (s scale) at(v float64) float64 {
	share := (v - s.low) / (s.high - s.low)
	if s.log {
		share = math.Log(max(v, s.low)/s.low) / math.Log(s.high/s.low)
	}
	return s.from + min(max(share, 0), 1)*(s.to-s.from)
}

// ticks are the values with a line and a label.
func (s scale) ticks() (all []float64) {
	if !s.log {
		step := niceStep((s.high - s.low) / 5)
		for i := 0.; s.low+i*step <= s.high*(1+1e-9); i++ {
			all = append(all, s.low+i*step)
		}
		return all
	}
	decades := math.Log10(s.high / s.low)
	for v := niceBelow(s.low); v <= s.high*(1+1e-9); v = niceAbove(v * 1.01) {
		first := math.Round(v / math.Pow(10, math.Floor(math.Log10(v)+1e-9)))
		if decades <= 2.7 || first == 1 {
			all = append(all, v)
		}
	}
	return all
}

// niceStep is the least of 1, 2, 5, 10, … times a power of ten that is not below v.
func niceStep(v float64) float64 { return niceAbove(v) }

func niceAbove(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5, 10} {
		if m*unit >= v*(1-1e-9) {
			return m * unit
		}
	}
	return v
}

func niceBelow(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{10, 5, 2, 1} {
		if m*unit <= v*(1+1e-9) {
			return m * unit
		}
	}
	return v
}

// A plot is a chart that is being drawn: axes first, then what is in them.
type plot struct {
	b    strings.Builder
	x, y scale
}

// newPlot draws the axes with their ticks, of which labels are the texts.
func newPlot(id, title, description string, x, y scale, xTicks []float64, xLabel, yLabel func(float64) string) *plot {
	x.from, x.to = marginLeft, chartWidth-marginRight
	y.from, y.to = chartHeight-marginBottom, marginTop
	p := &plot{x: x, y: y}
	p.put(`<svg viewBox="0 0 %v %v" role="img" aria-labelledby="%s-t %s-d"><title id="%s-t">%s</title><desc id="%s-d">%s</desc>`,
		chartWidth, chartHeight, id, id, id, escape(title), id, escape(description))
	for _, v := range y.ticks() {
		at := p.y.at(v)
		p.put(`<line class="grid" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, x.from, x.to, at, at)
		p.put(`<text x="%.1f" y="%.1f" text-anchor="end">%s</text>`, x.from-7, at+4, escape(yLabel(v)))
	}
	right := -100. // where the last label ends
	for _, v := range xTicks {
		at, label := p.x.at(v), xLabel(v)
		p.put(`<line class="tick" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, at, at, y.from, y.from+4)
		half := float64(len([]rune(label))) * 3.4
		center := min(at, chartWidth-1.2*half-1) // letters are not all as wide
		if center-half < right {                 // it would run into its neighbour
			continue
		}
		right = center + half
		p.put(`<text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, center, y.from+19, escape(label))
	}
	p.put(`<line class="axis" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, x.from, x.to, y.from, y.from)
	return p
}

func (p *plot) put(format string, args ...any) { fmt.Fprintf(&p.b, format, args...) }

// escape is for text and attributes alike.
func escape(s string) string { return template.HTMLEscapeString(s) }

// A place is a point of a series in values.
type place struct{ x, y float64 }

func (p *plot) path(points []place) string {
	var b strings.Builder
	for i, pt := range points {
		command := "L"
		if i == 0 {
			command = "M"
		}
		fmt.Fprintf(&b, "%s%.1f %.1f", command, p.x.at(pt.x), p.y.at(pt.y))
	}
	return b.String()
}

// line draws a series; class has its colour.
func (p *plot) line(class string, points []place) {
	if len(points) == 1 { // a line of no length does not show
		p.dot(class, points[0], "")
	}
	if len(points) > 1 {
		p.put(`<path class="line %s" d="%s"/>`, class, p.path(points))
	}
}

// area fills below a series.
func (p *plot) area(class string, points []place) {
	if len(points) > 1 {
		p.put(`<path class="area %s" d="%sL%.1f %.1fL%.1f %.1fZ"/>`, class, p.path(points),
			p.x.at(points[len(points)-1].x), p.y.from, p.x.at(points[0].x), p.y.from)
	}
}

// dot marks a value, whose title tells it.
func (p *plot) dot(class string, at place, title string) {
	p.put(`<circle class="dot %s" cx="%.1f" cy="%.1f" r="3.6"><title>%s</title></circle>`, class, p.x.at(at.x), p.y.at(at.y), escape(title))
}

// column is a bar from x1 to x2.
func (p *plot) column(class string, x1, x2, y float64, title string) {
	left, right, top := p.x.at(x1), p.x.at(x2), p.y.at(y)
	if y > 0 {
		top = min(top, p.y.from-1.5) // what is not nothing shows
	}
	p.put(`<rect class="column %s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s</title></rect>`,
		class, left+.5, top, max(right-left-1, .5), p.y.from-top, escape(title))
}

// band is an invisible column of the whole height, whose title tells the values.
func (p *plot) band(x1, x2 float64, title string) {
	left, right := p.x.at(x1), p.x.at(x2)
	p.put(`<rect class="band" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s</title></rect>`,
		left, p.y.to, max(right-left, .5), p.y.from-p.y.to, escape(title))
}

// upright is a line at x with a name at its head.
func (p *plot) upright(x float64, name string) {
	at := p.x.at(x)
	p.put(`<line class="mark" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, at, at, p.y.from, p.y.to)
	p.put(`<text class="mark" x="%.1f" y="%.1f">%s</text>`, min(at+4, chartWidth-7*float64(len(name))), p.y.to+9, escape(name))
}

// level is a line at y with a name.
func (p *plot) level(y float64, name string) {
	at := p.y.at(y)
	p.put(`<line class="mark" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, p.x.from, p.x.to, at, at)
	p.put(`<text class="mark" x="%.1f" y="%.1f" text-anchor="end">%s</text>`, p.x.to-2, at-4, escape(name))
}

// svg is the whole. All text in it was escaped.
func (p *plot) svg() template.HTML {
	return template.HTML(p.b.String() + "</svg>")
}
