package streamcheck

import (
	"cmp"
	"fmt"
	"slices"
)

// Severity says how much a finding weighs.
type Severity string

// A rule that says MUST makes errors, one that says SHOULD makes warnings.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Finding is one place where a rule is not kept.
type Finding struct {
	Clause   string   `json:"clause"` // "RFC 8216, 4.3.3.1", "Apple, 1.26", "ISO/IEC 23009-1, 5.3.9.6"
	Severity Severity `json:"severity"`
	Rule     string   `json:"rule"` // what the clause asks for
	File     string   `json:"file"`
	Line     int      `json:"line,omitempty"` // from 1; 0 where it is about the whole file
	Measured string   `json:"measured"`
	Wanted   string   `json:"wanted"`
	Advice   string   `json:"advice"`
	More     int      `json:"more,omitempty"` // how often the same was found in this file after this one
}

// Report is what a check found, worst first.
type Report struct {
	Address   string    `json:"address"`
	Findings  []Finding `json:"findings"`
	Playlists int       `json:"playlists"`
	Files     int       `json:"files"` // of media
	Bytes     int64     `json:"bytes"` // that were read
	Seconds   float64   `json:"seconds"`
}

// Count returns how many findings have a severity.
func (r Report) Count(s Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == s {
			n += 1 + f.More
		}
	}
	return n
}

// place is where something stands.
type place struct {
	file string
	line int
}

// reporter collects the findings of one rule.
type reporter struct {
	rule     rule
	findings []Finding
	seen     map[string]int // by file: how many
}

// perFile is how many findings of one rule are kept of one file; a thousand equal ones help nobody.
const perFile = 3

// found adds a finding.
func (r *reporter) found(at place, wanted, measured string, args ...any) {
	r.seen[at.file]++
	if r.seen[at.file] > perFile {
		for i := range slices.Backward(r.findings) {
			if r.findings[i].File == at.file {
				r.findings[i].More++
				return
			}
		}
	}
	r.findings = append(r.findings, Finding{
		Clause: r.rule.clause, Severity: r.rule.severity, Rule: r.rule.text, File: at.file, Line: at.line,
		Measured: fmt.Sprintf(measured, args...), Wanted: wanted, Advice: r.rule.advice,
	})
}

// judge applies rules to a presentation.
func judge(p *presentation, rules []rule) []Finding {
	var all []Finding
	for _, one := range rules {
		r := &reporter{rule: one, seen: map[string]int{}}
		one.check(p, r)
		all = append(all, r.findings...)
	}
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return all
}
