package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"time"
)

type verifyCmd struct {
	Quick  bool          `help:"Compare sizes of media only, not their SHA-256."`
	Grace  time.Duration `help:"What is younger may be in somebody's hands: files that no event names, videos that nobody seems to work on." default:"1h"`
	Report string        `help:"Write the whole report as one JSON document, too; - for the standard output, instead of all else." placeholder:"FILE"`
	Repair bool          `help:"Mend what can be derived from the log: rebuild read models, remove what no event names, send lost work again. The log is never touched."`
	DryRun bool          `help:"With --repair: say what would be done."`
}

// Help is what --help says beside the list of flags.
func (verifyCmd) Help() string {
	return `It looks only, beside a running server or without one, and can be broken off at any moment; docs/operations.md lists what is ` +
		`checked. Exit 1 when something is wrong that was not mended. A notice is for people to know, and nothing is wrong.`
}

// Run prints what is found.
func (v verifyCmd) Run(ctx context.Context, c *console) error {
	if v.DryRun && !v.Repair {
		return usageError("--dry-run goes with --repair")
	}
	opened := c.opener(slog.New(slog.DiscardHandler))
	defer func() { _ = opened.Close() }()
	a, err := v.audit(ctx, opened)
	if err != nil {
		return err
	}
	if err := a.run(ctx); err != nil {
		return err
	}
	if v.Repair {
		if err := a.repair(ctx, v.DryRun); err != nil {
			return err
		}
	}
	report := a.report()
	if v.Report != "" {
		err := writeWhole(c, v.Report, func(w io.Writer) error {
			e := json.NewEncoder(w)
			e.SetIndent("", "  ")
			return e.Encode(report)
		})
		if err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	if v.Report != "-" {
		if err := report.print(c); err != nil {
			return err
		}
	}
	if report.Wrong > 0 {
		return fmt.Errorf("%d differences in %d events of %d videos", report.Wrong, report.Events, report.Videos)
	}
	return nil
}

// finding is one difference, with what to do about it.
type finding struct {
	Check  string `json:"check"`
	What   string `json:"what"`
	Hint   string `json:"hint"`
	Notice bool   `json:"notice,omitempty"` // nothing is wrong, but somebody should know
	Repair string `json:"repair,omitempty"` // what was done, or would be
	Error  string `json:"repair_error,omitempty"`

	mended bool
	mend   mending
}

// mending makes good what was found; nil where nothing can. What it says has been done, or would be when it is dry.
type mending func(ctx context.Context, dry bool) (done string, err error)

// verified is the report.
type verified struct {
	Started time.Time       `json:"started"`
	Seconds float64         `json:"seconds"`
	Events  int64           `json:"events"`
	Videos  int             `json:"videos"`
	Files   int             `json:"files"` // of media, that are as they must be
	Wrong   int             `json:"wrong"` // findings that are no notices, and were not mended
	Notices int             `json:"notices"`
	Checks  []checked       `json:"checks"`
	Models  []verifiedModel `json:"read_models"`
}

// checked is what became of a check.
type checked struct {
	Name       string    `json:"name"`
	Invariants string    `json:"invariants"`
	Skipped    string    `json:"skipped,omitempty"` // why it was not done
	Seconds    float64   `json:"seconds"`
	Findings   []finding `json:"findings"`
}

// verifiedModel is a read model beside a fresh fold of the log.
type verifiedModel struct {
	Name     string `json:"name"`
	Position int64  `json:"position"`
	Rows     int    `json:"rows"`
	Hash     string `json:"hash"`                // of the rows that the log gives at this position
	LiveHash string `json:"live_hash,omitempty"` // of those in use
	Equal    bool   `json:"equal"`
}

func (r verified) print(c *console) error {
	for _, done := range r.Checks {
		for _, f := range done.Findings {
			if c.json {
				b, err := json.Marshal(f)
				if err != nil {
					return err
				}
				c.printf("%s\n", b)
				continue
			}
			c.printf("%-12s %s\n             → %s\n", f.Check, f.What, f.Hint)
			switch {
			case f.Error != "":
				c.printf("             ✗ %s\n", f.Error)
			case f.Repair != "":
				c.printf("             ✓ %s\n", f.Repair)
			}
		}
		if done.Skipped != "" && !c.json {
			c.printf("%-12s not checked: %s\n", done.Name, done.Skipped)
		}
	}
	if r.Wrong == 0 && !c.json {
		c.printf("Nothing wrong: %d events of %d videos, %d media files, read models equal to the log.\n", r.Events, r.Videos, r.Files)
	}
	return nil
}
