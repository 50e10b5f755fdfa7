// Package serve is what the mains of the test servers share: where they listen, where they keep their data, when they
// are ready and when they end.
package serve

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
)

// Options is what a server is told.
type Options struct {
	Listen string // host:port; port 0 means any free one
	Data   string // directory, exists
}

// Main runs a server until it is told to end: by a signal, or, with -stdin, when standard input closes, which it does
// when the process that started the server dies, however it dies. run calls ready once the server answers; it is told
// as one line of JSON on standard output. Everything else that a server prints goes to standard error.
func Main(run func(ctx context.Context, o Options, ready func(url string)) error) {
	stdout := os.Stdout
	os.Stdout = os.Stderr
	ready := func(url string) {
		_ = json.NewEncoder(stdout).Encode(map[string]string{"url": url}) // nobody listens: then nobody waits
	}
	if err := start(run, ready); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func start(run func(context.Context, Options, func(string)) error, ready func(string)) error {
	var o Options
	flag.StringVar(&o.Listen, "listen", "127.0.0.1:0", "address, on loopback")
	anywhere := flag.Bool("anywhere", false, "let -listen be any address: for a container, whose network is its own")
	flag.StringVar(&o.Data, "data", "", "directory to keep data in; one that is removed at the end if none is given")
	stdin := flag.Bool("stdin", false, "end when standard input closes")
	flag.Parse()

	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); !*anywhere && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("-listen %s: these servers are for tests and listen on loopback only (but with -anywhere)", o.Listen)
	}
	if o.Data == "" {
		if o.Data, err = os.MkdirTemp("", "cinelog-test-server-"); err != nil {
			return err
		}
		defer os.RemoveAll(o.Data)
	} else if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *stdin {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin) // an error ends it as well
			stop()
		}()
	}
	done := make(chan error, 1)
	go func() { done <- run(ctx, o, ready) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return nil // the data is a test's: nothing to shut down with care
	}
}

// FreePort replaces port 0 of an address by a port that is free at this moment, for servers that cannot say which one
// they took.
func FreePort(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil || port != "0" {
		return listen, err
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
