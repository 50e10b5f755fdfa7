// Command demo shows Cinelog as many processes that share nothing but MongoDB, SNS/SQS and S3, on one machine: it starts
// stand-ins for these three, provisions them, starts two API servers, one process that relays, projects and counts, and
// two workers, uploads a clip through one API server and finds it through the other. All that it starts ends with it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/test/backends"
)

type options struct {
	binary  string // cinelog
	listen  string // the first API server's; a free port where it is in use
	once    bool   // end after the printout
	seconds int    // of the clip
	// standins: start these only, and print what points programs at them
	standins bool
}

func main() {
	var o options
	flag.StringVar(&o.binary, "binary", "bin/cinelog", "the program")
	flag.StringVar(&o.listen, "listen", "127.0.0.1:8080", "address of the first API server; a free port is taken where it is in use")
	flag.BoolVar(&o.once, "once", false, "end after the printout")
	flag.BoolVar(&o.standins, "standins", false, "start the stand-ins only, and print the environment that points cinelog at them")
	flag.IntVar(&o.seconds, "seconds", 20, "length of the clip")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil && ctx.Err() == nil {
		_, _ = fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demo is a run of it.
type demo struct {
	options

	dir   string // goes when the demo ends
	out   io.Writer
	begun time.Time
	cloud *backends.Servers
	env   []string // of every process: where things are
	all   []*process
}

func run(ctx context.Context, o options, out io.Writer) (err error) {
	d := &demo{options: o, out: out, begun: time.Now()} //nolint:forbidigo // a person watches this clock
	if d.dir, err = os.MkdirTemp("", "cinelog-demo-aws-"); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, d.end(err), os.RemoveAll(d.dir))
	}()
	if o.standins {
		return d.standInsOnly(ctx)
	}
	if err := d.startCloud(); err != nil { //nolint:contextcheck // what runs is ended in order, not with the context
		return err
	}
	apis, err := d.startProcesses(ctx)
	if err != nil {
		return err
	}
	if err := d.show(ctx, apis[0], apis[1]); err != nil || o.once {
		return err
	}
	d.printf("\nAll of it stays up: open %s in a browser. Ctrl-C ends it and removes what it stored.\n", apis[0])
	return d.anyEnds(ctx)
}

// tell prints a line with the seconds since the start.
func (d *demo) tell(format string, args ...any) {
	d.printf("%6.1f s  %s\n", time.Since(d.begun).Seconds(), fmt.Sprintf(format, args...))
}

func (d *demo) printf(format string, args ...any) { _, _ = fmt.Fprintf(d.out, format, args...) }

// startCloud starts the stand-ins, and says how processes find them.
func (d *demo) startCloud() (err error) {
	d.tell("Starting stand-ins for MongoDB, SNS/SQS and S3. The first run builds them: one to two minutes on two cores.")
	d.cloud, err = backends.StartAll(d.dir, func(name, at string) { d.tell("  %-12s %s", name, at) })
	if err != nil {
		return err
	}
	d.env = []string{
		"CINELOG_LOG=" + d.cloud.Mongo, "CINELOG_VIEWS=" + d.cloud.Mongo, "CINELOG_BUS=aws:cinelog",
		"CINELOG_BLOBS=s3://cinelog?path-style=true&endpoint=" + d.cloud.S3,
		"AWS_REGION=" + backends.Region, "AWS_ACCESS_KEY_ID=" + d.cloud.AccessKey, "AWS_SECRET_ACCESS_KEY=" + d.cloud.SecretKey,
		"AWS_ENDPOINT_URL_SNS=" + d.cloud.AWS, "AWS_ENDPOINT_URL_SQS=" + d.cloud.AWS, "AWS_ENDPOINT_URL_STS=" + d.cloud.AWS,
	}
	return nil
}

// standInsOnly prints lines for a shell on standard output, and what it tells on standard error.
func (d *demo) standInsOnly(ctx context.Context) error {
	lines := d.out
	d.out = os.Stderr
	if err := d.startCloud(); err != nil { //nolint:contextcheck // what runs is ended in order, not with the context
		return err
	}
	for _, setting := range d.env {
		name, value, _ := strings.Cut(setting, "=")
		_, _ = fmt.Fprintf(lines, "export %s='%s'\n", name, value)
	}
	d.tell("They stay up until Ctrl-C.")
	<-ctx.Done()
	return nil
}

// startProcesses provisions and starts what an installation consists of. It returns the addresses of the API servers.
func (d *demo) startProcesses(ctx context.Context) (apis []string, err error) {
	if _, err := d.command(ctx, "provision"); err != nil {
		return nil, err
	}
	d.tell("Provisioned: the database's indexes, a topic, queues with dead letters, a bucket.")
	d.tell("Starting five processes:")
	for _, roles := range []string{"api", "api", "relay,projector,analytics,webhooks", "transcoder", "transcoder"} {
		listen := "127.0.0.1:0"
		if len(d.all) == 0 && free(ctx, d.listen) {
			listen = d.listen
		}
		if err := d.start(roles, listen); err != nil { //nolint:contextcheck // as above
			return nil, err
		}
	}
	for _, p := range d.all {
		at, err := p.serves(ctx)
		if err != nil {
			return nil, err
		}
		d.tell("  process %-8d %-26s %s", p.cmd.Process.Pid, p.roles, at)
		if at != "" {
			apis = append(apis, at)
		}
	}
	return apis, nil
}

// free says whether an address can be listened on. Somebody else may be faster; then the API server says so.
func free(ctx context.Context, address string) bool {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err == nil {
		_ = l.Close()
	}
	return err == nil
}

func (d *demo) makeClip(ctx context.Context) (path string, err error) {
	path = filepath.Join(d.dir, "kubernetes-in-a-minute.mp4")
	encoder, err := ffmpeg.New(ctx, ffmpeg.Options{})
	if err == nil {
		err = encoder.MakeSample(ctx, path, d.seconds)
	}
	return path, err
}
