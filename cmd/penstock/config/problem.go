package config

import (
	"errors"
	"fmt"
	"strings"
)

// Problem is one thing that is wrong with a file.
type Problem struct {
	File         string
	Line, Column int    // 0: of the file as a whole
	Path         string // of the key: hosts[0].routes[1].proxy.to
	What         string // what is wrong, and what is allowed
	Fix          string // a guess at what was meant; empty: none
}

func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": ")
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.What)
	if p.Fix != "" {
		b.WriteString("; " + p.Fix)
	}
	return b.String()
}

// maxProblems bounds what is reported at once.
const maxProblems = 100

// problems collects.
type problems struct {
	list []*Problem
	more int
}

func (s *problems) add(p *Problem) {
	if len(s.list) >= maxProblems {
		s.more++
		return
	}
	s.list = append(s.list, p)
}

// err is all of them, joined; nil: none.
func (s *problems) err() error {
	if len(s.list) == 0 {
		return nil
	}
	errs := make([]error, 0, len(s.list)+1)
	for _, p := range s.list {
		errs = append(errs, p)
	}
	if s.more > 0 {
		errs = append(errs, fmt.Errorf("%s: %d more", s.list[0].File, s.more))
	}
	return errors.Join(errs...)
}

// nearest is the candidate that name was meant to be; empty: none is near.
func nearest(name string, candidates []string) string {
	best, least := "", len(name)/2+1
	for _, c := range candidates {
		if d := distance(name, c); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance is the number of letters to insert, drop or change.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := last
			if a[i] != b[j] {
				d = 1 + min(last, row[j], row[j+1])
			}
			last, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}
