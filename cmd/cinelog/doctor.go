package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
)

type doctorCmd struct{}

// Run prints the checks, and fails when something that is needed is missing.
func (doctorCmd) Run(ctx context.Context, c *console) error {
	encoder, err := ffmpeg.New(ctx, ffmpeg.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	failed := false
	for _, check := range encoder.Doctor(ctx) {
		failed = failed || !check.OK
		if c.json {
			b, err := json.Marshal(check)
			if err != nil {
				return err
			}
			c.printf("%s\n", b)
			continue
		}
		mark := "ok     "
		if !check.OK {
			mark = "MISSING"
		}
		c.printf("%s  %-12s %s\n", mark, check.Name, check.Detail)
	}
	if failed {
		return errors.New("something that is needed is missing, see above")
	}
	return nil
}
