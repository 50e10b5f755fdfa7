package main

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/lmittmann/tint"

	"github.com/cinelog/cinelog/domain"
)

type serveCmd struct {
	Listen          string   `help:"Address to serve on; loopback only, until there are keys." default:"127.0.0.1:8080" env:"CINELOG_LISTEN"`
	Roles           []string `help:"What this process does: api, relay, projector, transcoder, analytics, webhooks (default: all)." env:"CINELOG_ROLES" enum:"api,relay,projector,transcoder,analytics,webhooks" placeholder:"ROLE"`
	Host            []string `help:"Names, beside the address, under which the server may be asked; * for any." env:"CINELOG_HOSTS"`
	CPUs            int      `name:"cpus" help:"How many CPUs to encode with (default: all)." env:"CINELOG_CPUS" placeholder:"N"`
	WebhooksPrivate bool     `help:"Let webhooks go to addresses of this machine and its networks too, and over plain http: for intranets and tests." env:"CINELOG_WEBHOOKS_PRIVATE"`
	Debug           bool     `help:"Log more." env:"CINELOG_DEBUG"`

	Profile   string   `help:"How much work an encode may be for the bytes that it saves: fast, balanced or small. A video may ask for another one, as for all that follows." default:"fast" enum:"fast,balanced,small" env:"CINELOG_PROFILE"`
	Codecs    []string `help:"Codecs to encode to: avc, and hevc and av1 beside it." default:"avc" enum:"avc,hevc,av1" env:"CINELOG_CODECS"`
	Remux     string   `help:"auto serves a source's own pictures at once where browsers play them; or never." default:"auto" enum:"auto,never" env:"CINELOG_REMUX"`
	Ladder    string   `help:"measured looks at the pictures first and leaves out the sizes that add nothing; fixed makes all of them; auto measures where nobody waits for it." default:"auto" enum:"auto,measured,fixed" env:"CINELOG_LADDER"`
	AudioOnly bool     `help:"Also offer the sound without pictures." env:"CINELOG_AUDIO_ONLY"`

	audience `embed:""`

	// For tests, which cannot wait as long as one should in earnest.
	Lease time.Duration `hidden:"" help:"How long a message stays with a process that gives no sign of life (default: 30s)."`
	Tries int           `hidden:"" help:"How often a message is handled before it is a dead letter (default: 10)."`
}

// Run serves until the context ends.
func (s serveCmd) Run(ctx context.Context, c *console) error {
	level := slog.LevelInfo
	if s.Debug {
		level = slog.LevelDebug
	}
	if s.CPUs < 0 {
		return usageError("--cpus: at least 1")
	}
	if s.PlaysDays < 1 || s.PlaysMost < 1 {
		return usageError("--plays-days, --plays-most: at least 1")
	}
	encoding, err := s.encoding()
	if err != nil {
		return usageError(err.Error())
	}
	a, err := openApp(ctx, config{
		places: c.places, encoding: encoding, roles: s.Roles, hosts: s.Host, listen: s.Listen, log: newLog(c, level),
		cpus: s.CPUs, audience: s.audience, private: s.WebhooksPrivate, lease: s.Lease, tries: s.Tries,
	})
	if err != nil {
		return err
	}
	if a.listener == nil {
		c.printf("Cinelog works as %s. Ctrl-C stops it.\n", strings.Join(s.Roles, ", "))
	} else {
		c.printf("Cinelog serves on %s with %s. Ctrl-C stops it.\n", a.url(), c.Data)
	}
	return a.run(ctx)
}

func (s serveCmd) encoding() (domain.Encoding, error) {
	e := domain.Encoding{Profile: domain.Profile(s.Profile), Remux: domain.Remux(s.Remux), Ladder: domain.LadderChoice(s.Ladder), AudioOnly: &s.AudioOnly}
	for _, c := range s.Codecs {
		e.Codecs = append(e.Codecs, domain.Codec(c))
	}
	return e.Clean()
}

func newLog(c *console, level slog.Level) *slog.Logger {
	if c.json {
		return slog.New(slog.NewJSONHandler(c.err, &slog.HandlerOptions{Level: level}))
	}
	return slog.New(tint.NewTextHandler(c.err, &tint.Options{Level: level, TimeFormat: "15:04:05.000", NoColor: barOutput(c) == io.Discard}))
}

// quietLog shows problems only: a demo's own words are the output.
func quietLog(w io.Writer) *slog.Logger {
	return slog.New(tint.NewTextHandler(w, &tint.Options{Level: slog.LevelWarn, NoColor: true}))
}
