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
			figures := map[string][]float64{}
			for range b.N {
				from, to := openWhole(b, log()), openWhole(b, log())
				contract.AppendCommits(b, from, 64, 64) // connections
				timed := func(what string, do func() error) time.Duration {
					start := time.Now()
					if err := do(); err != nil {
						b.Fatal(err)
					}
					took := time.Since(start)
					figures[what] = append(figures[what], events/took.Seconds())
					return took
				}
				var file bytes.Buffer
				read := func() *logfile.Reader {
					r, err := logfile.NewReader(bytes.NewReader(file.Bytes()))
					if err != nil {
						b.Fatal(err)
					}
					return r
				}
				appending := timed("appended/s", func() error { contract.AppendCommits(b, from, 64, events); return nil })
				timed("exported/s", func() error {
					_, err := logfile.Export(b.Context(), from, &file, 0, nil)
					return err
				})
				timed("checked/s", func() error {
					_, err := logfile.Check(b.Context(), to, read(), nil)
					return err
				})
				importing := timed("imported/s", func() error {
					done, err := logfile.Import(b.Context(), to, read(), nil)
					if err == nil && done.Head != events+64 {
						err = fmt.Errorf("the copy ends at %d", done.Head)
					}
					return err
				})
				figures["of_append"] = append(figures["of_append"], appending.Seconds()/importing.Seconds())
			}
			b.ReportMetric(0, "ns/op")
			for name, of := range figures {
				reportMedian(b, of, name)
			}
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
