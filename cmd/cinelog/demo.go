package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/domain"
)

type demoCmd struct {
	Once    bool   `help:"End after the printout."`
	Seconds int    `help:"Length of the sample clip." default:"20"`
	Listen  string `help:"Address to serve on; a free port is taken where it is in use." default:"127.0.0.1:8080"`
}

// Run shows the whole flow with a clip that it makes itself, in a folder of its own that goes when it ends.
func (d demoCmd) Run(ctx context.Context, c *console) error {
	dir, err := os.MkdirTemp("", "cinelog-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()

	clip := filepath.Join(dir, "kubernetes-in-a-minute.mp4")
	c.printf("Making a sample clip of %d s with FFmpeg ...\n", d.Seconds)
	if err := makeSample(ctx, clip, d.Seconds); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	app, err := openApp(ctx, config{places: places{Data: filepath.Join(dir, "data")}, listen: d.Listen, anyPort: true, log: quietLog(c.err)})
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- app.run(ctx) }()
	err = d.show(ctx, c, app, clip)
	if err == nil && !d.Once {
		c.printf("\nThe server stays up: open %s in a browser. Ctrl-C ends it and removes what it stored.\n", app.url())
		select {
		case <-ctx.Done():
		case err = <-done:
			return err
		}
	}
	cancel()
	return errors.Join(err, <-done)
}

func (d demoCmd) show(ctx context.Context, c *console, app *app, clip string) error {
	cl := &client{server: app.url()}
	c.printf("Serving on %s, uploading %s ...\n", cl.server, filepath.Base(clip))
	start := time.Now()
	v, err := cl.upload(ctx, c, clip, "Kubernetes in a minute", []string{"demo", "go"}, false)
	if err != nil {
		return err
	}
	c.printf("  playable after %.1f s\n", time.Since(start).Seconds())
	if v, err = cl.wait(ctx, v.ID, true, func(float64) {}); err != nil {
		return err
	}
	c.printf("  ready after    %.1f s: %d renditions\n\n", time.Since(start).Seconds(), len(v.Renditions))
	c.printf("Watch it\n  page  %s\n  HLS   %s%s\n\n", cl.watch(v.ID), cl.server, v.Playback.HLS)

	var found struct {
		Items []answer `json:"items"`
	}
	if err := cl.call(ctx, "GET", "/v1/videos?q=kub", nil, &found); err != nil {
		return err
	}
	if len(found.Items) == 0 {
		return errors.New("the search for \"kub\" found nothing")
	}
	c.printf("Search for \"kub\"\n")
	for _, item := range found.Items {
		c.printf("  %s  %s  %s\n", item.ID, item.Status, item.Title)
	}
	events, err := app.service.History(ctx, domain.VideoID(v.ID))
	if err != nil {
		return err
	}
	c.printf("\nWhat happened\n")
	for _, r := range events {
		c.printf("  %3d  +%6.2f s  %-28s %s\n", r.Position, r.Time.Sub(events[0].Time).Seconds(), domain.EventType(r.Event), eventSummary(r.Event))
	}
	return nil
}

// listen opens the address, or a free port beside it where any will do.
func listen(ctx context.Context, address string, anyPort bool) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, usageError(fmt.Sprintf("--listen %q is not HOST:PORT", address))
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, usageError(fmt.Sprintf("--listen %s: only loopback addresses (127.0.0.1, ::1) are served until there are keys, "+
			"since whoever reaches the server may do everything; put a proxy with authentication before it", address))
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil && anyPort {
		l, err = lc.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w (choose another with --listen)", address, err)
	}
	return l, nil
}

func makeSample(ctx context.Context, path string, seconds int) error {
	encoder, err := ffmpeg.New(ctx, ffmpeg.Options{})
	if err != nil {
		return err
	}
	return encoder.MakeSample(ctx, path, seconds)
}
