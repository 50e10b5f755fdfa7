// Command cinelog is the whole of Cinelog in one binary: the server, its command line client and its maintenance tools.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// cli is the command line. Flags may also be given as environment variables CINELOG_<FLAG>.
type cli struct {
	places

	JSON bool `help:"One JSON document per line instead of text for people." env:"CINELOG_JSON"`

	Serve       serveCmd       `cmd:"" help:"Run the server with all its parts."`
	Provision   provisionCmd   `cmd:"" help:"Make what is missing in MongoDB, SNS, SQS and S3."`
	Upload      uploadCmd      `cmd:"" help:"Upload files to a running server, wait until they can be watched, print where."`
	Demo        demoCmd        `cmd:"" help:"Serve, upload a sample clip, search it, print its events; stays up."`
	Replay      replayCmd      `cmd:"" help:"Rebuild a projection (catalog, playback, analytics) or all of them from the log."`
	Projections projectionsCmd `cmd:"" help:"See how far the projections are; pause one, have it resume, or skip an event."`
	Events      eventsCmd      `cmd:"" help:"Look at the event log, or move it."`
	Erase       eraseCmd       `cmd:"" help:"Take what was said about deleted videos out of the log and its copies, for good."`
	Verify      verifyCmd      `cmd:"" help:"Hold log, read models and media against each other; exit 1 on any difference."`
	Validate    validateCmd    `cmd:"" help:"Hold HLS playlists or a DASH manifest, and their media, against the rules, by clause; exit 1 on errors."`
	Webhooks    webhooksCmd    `cmd:"" help:"See and change who is told of events over HTTP; test an endpoint, deliver again."`
	Dlq         dlqCmd         `cmd:"" help:"Look at messages that were given up on, and send them again."`
	Doctor      doctorCmd      `cmd:"" help:"Say what this machine has and lacks for Cinelog."`
	Version     versionCmd     `cmd:"" help:"Print the version."`
}

// console is where a command writes and how.
type console struct {
	out, err io.Writer
	json     bool
	places
}

func (c *console) printf(format string, args ...any) { _, _ = fmt.Fprintf(c.out, format, args...) }

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	var c cli
	parser, err := kong.New(&c,
		kong.Name("cinelog"),
		kong.Description("A video-on-demand backend: upload a video, watch it seconds later, find it, and never lose a fact about it."),
		kong.UsageOnError(), kong.Writers(stdout, stderr), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Vars{"version": version()},
	)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "cinelog:", err)
		return exitUsage
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "cinelog:", err)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	parsed.BindTo(ctx, (*context.Context)(nil))
	err = parsed.Run(&console{out: stdout, err: stderr, json: c.JSON, places: c.places})
	var usage usageError
	switch {
	case err == nil, errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return exitDone
	case errors.As(err, &usage):
		_, _ = fmt.Fprintln(stderr, "cinelog:", err)
		return exitUsage
	}
	_, _ = fmt.Fprintln(stderr, "cinelog:", err)
	return exitFailed
}

// usageError is the caller's mistake: exit code 2.
type usageError string

func (u usageError) Error() string { return string(u) }
