package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/logfile"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/test/backends"
)

// BenchmarkMoveOfAppend measures how fast events of about a kilobyte leave a log and enter another one of the same kind:
// "of_append" is the speed of the import as a part of that of 64 writers that append the same number, one event a commit.
func BenchmarkMoveOfAppend(b *testing.B) {
	const events = 5000
	for name, log := range map[string]func() places{
		"SQLite":  func() places { return places{Data: filepath.Join(b.TempDir(), rand.Text())} },
		"MongoDB": func() places { return places{Log: backends.Mongo(b)} },
	} {
		b.Run(name, func(b *testing.B) {
			var appending, exporting, checking, importing time.Duration
			timed := func(total *time.Duration, do func() error) {
				start := time.Now()
				if err := do(); err != nil {
					b.Fatal(err)
				}
				*total += time.Since(start)
			}
			for range b.N {
				from, to := openWhole(b, log()), openWhole(b, log())
				contract.AppendCommits(b, from, 64, 64) // connections
				var file bytes.Buffer
				timed(&appending, func() error { contract.AppendCommits(b, from, 64, events); return nil })
				timed(&exporting, func() error {
					_, err := logfile.Export(b.Context(), from, &file, 0, nil)
					return err
				})
				read := func() *logfile.Reader {
					r, err := logfile.NewReader(bytes.NewReader(file.Bytes()))
					if err != nil {
						b.Fatal(err)
					}
					return r
				}
				timed(&checking, func() error {
					_, err := logfile.Check(b.Context(), to, read(), nil)
					return err
				})
				timed(&importing, func() error {
					done, err := logfile.Import(b.Context(), to, read(), nil)
					if err == nil && done.Head != events+64 {
						err = fmt.Errorf("the copy ends at %d", done.Head)
					}
					return err
				})
			}
			total := float64(events * b.N)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(total/exporting.Seconds(), "exported/s")
			b.ReportMetric(total/checking.Seconds(), "checked/s")
			b.ReportMetric(total/importing.Seconds(), "imported/s")
			b.ReportMetric(total/appending.Seconds(), "appended/s")
			b.ReportMetric(appending.Seconds()/importing.Seconds(), "of_append")
		})
	}
}

func openWhole(b *testing.B, at places) contract.WholeLog {
	b.Helper()
	o := at.opener(slog.New(slog.DiscardHandler))
	b.Cleanup(func() {
		if err := o.Close(); err != nil {
			b.Error(err)
		}
	})
	if at.Log != "" {
		db, err := o.mongo(b.Context(), at.Log)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := db.Provision(b.Context(), false); err != nil {
			b.Fatal(err)
		}
	}
	l, _, err := o.openLog(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return l.(interface {
		contract.Log
		commands.CommitLog
	})
}
