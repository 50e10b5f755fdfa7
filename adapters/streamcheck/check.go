package streamcheck

import (
	"cmp"
	"context"
	"fmt"
	"net"
)

// Options bound a check; every field has a default.
type Options struct {
	MaxBytes int64                 // that are read altogether; 64 GiB when 0
	MaxFiles int                   // of media; 100,000 when 0
	Progress func(done, total int) // files of media; called from several goroutines, one at a time; may be nil
}

const (
	defaultBytes = 64 << 30
	defaultFiles = 100_000
	maxPlaylists = 500
	atOnce       = 4 // files that are read at the same time
)

// Check reads the playlist or manifest at an address (http, https, a file, or a folder that has one), all that it
// names, and holds it against the rules. The error says why nothing could be judged; what is wrong with the
// presentation is in the report.
func Check(ctx context.Context, target string, o Options) (Report, error) {
	f, root, err := newFetcher(target, cmp.Or(o.MaxBytes, defaultBytes))
	if err != nil {
		return Report{}, fmt.Errorf("check %s: %w", target, err)
	}
	defer f.close()
	l := &loader{fetcher: f, options: o, known: map[string]*playlist{}, inits: map[string]*initSection{}, p: &presentation{}}
	if f.client != nil {
		l.p.overHTTP = true
		host := root.Hostname()
		ip := net.ParseIP(host)
		l.p.loopback = host == "localhost" || (ip != nil && ip.IsLoopback())
	}
	if err := l.load(ctx, root); err != nil {
		return Report{}, fmt.Errorf("check %s: %w", target, err)
	}
	r := Report{
		Address: target, Playlists: len(l.p.playlists), Files: int(f.files.Load()) - len(l.p.playlists), Bytes: f.read.Load(),
	}
	if l.p.manifest != nil {
		r.Findings = judge(l.p, manifestRules())
		r.Playlists, r.Files, r.Seconds = 1, int(f.files.Load())-1, l.p.manifest.seconds
		return r, nil
	}
	for _, m := range l.p.media() {
		r.Seconds = max(r.Seconds, m.seconds())
	}
	r.Findings = judge(l.p, rules())
	return r, nil
}
