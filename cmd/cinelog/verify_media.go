package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// checkMedia holds what the events name against what is stored.
func checkMedia(ctx context.Context, a *audit, v *auditedVideo) (found []finding, _ error) {
	const hint = "restore the file from a backup, or upload the video again"
	v.files = 0
	stored := make(map[string]commands.StoredBlob, len(v.stored))
	for _, s := range v.stored {
		stored[s.Key] = s
	}
	for _, want := range commands.LiveBlobs(v.events, time.Now()) {
		s, ok := stored[want.Key]
		wrong, err := want.Key+" is missing", error(nil)
		if ok {
			wrong, err = a.differs(ctx, s, want)
		}
		switch {
		case err != nil:
			return nil, err
		case wrong == "":
			v.files++
		default:
			found = append(found, finding{What: wrong, Hint: hint})
		}
	}
	return found, nil
}

// differs says what is wrong with a stored file.
func (a *audit) differs(ctx context.Context, s commands.StoredBlob, want domain.Blob) (string, error) {
	switch {
	case s.Bytes != want.Bytes:
		return fmt.Sprintf("%s has %d bytes, the log says %d", s.Key, s.Bytes, want.Bytes), nil
	case s.Bytes == 0 && !strings.HasPrefix(s.Key, "sources/"): // people send empty files, too
		return s.Key + " is empty", nil
	case a.Quick:
		return "", nil
	}
	sum, err := a.store.sum(ctx, s.Key)
	switch {
	case errors.Is(err, domain.ErrNotFound): // deleted since it was listed
		return s.Key + " is missing", nil
	case err == nil && sum != want.SHA256:
		return s.Key + " has other content than was recorded", nil
	}
	return "", err
}

// checkOrphans finds what is stored of a video and named by no event. What is being made will be named; what an upload that
// is under way makes ahead is left alone for as long as one may take.
func checkOrphans(_ context.Context, a *audit, v *auditedVideo) (found []finding, _ error) {
	for _, key := range a.orphans(v) {
		found = append(found, finding{
			What: key + " is stored but no event names it",
			Hint: "harmless: a crash left it; the server removes it when its video is done, and --repair now",
			mend: func(ctx context.Context, dry bool) (string, error) {
				now, err := a.load(ctx, v.id) // it may have been named since
				if err != nil {
					return "", err
				}
				for _, still := range a.orphans(now) {
					switch {
					case still != key:
						continue
					case dry:
						return "remove it", nil
					}
					return "removed it", a.store.Delete(ctx, key)
				}
				return "nothing: an event names it now", nil
			},
		})
	}
	return found, nil
}

func (a *audit) orphans(v *auditedVideo) (keys []string) {
	named := map[string]bool{}
	for _, b := range commands.LiveBlobs(v.events, time.Now()) {
		named[b.Key] = true
	}
	for _, s := range v.stored {
		switch {
		case named[s.Key], !a.old(s.Modified):
		case v.video.InWork(), commands.ToBeNamed(v.video, s.Key):
		case commands.IsAhead(v.video, s.Key) && s.Modified > a.started.Add(-staleUpload).Unix():
		default:
			keys = append(keys, s.Key)
		}
	}
	return keys
}

// checkStrangers finds what is stored of no video at all. A log that was restored from an older backup does not know the
// videos since, so nobody but a person removes their files.
func checkStrangers(ctx context.Context, a *audit) (found []finding, _ error) {
	return found, a.store.List(ctx, "", func(b commands.StoredBlob) error {
		parts := strings.SplitN(b.Key, "/", 3)
		if len(parts) == 3 && !a.known[parts[1]] { // created since, or never
			events, err := a.log.ReadStream(ctx, parts[1], 0)
			if err != nil {
				return err
			}
			a.known[parts[1]] = len(events) > 0
		}
		if a.old(b.Modified) && (len(parts) < 3 || !a.known[parts[1]]) {
			found = append(found, finding{
				What: b.Key + " is stored but no event names it",
				Hint: "the log knows no such video: remove it by hand, unless the log was restored from a backup that is too old",
			})
		}
		return nil
	})
}

// checkTemporary finds files that were being written when a process ended. Whoever opens the storage alone removes them.
func checkTemporary(_ context.Context, a *audit) (found []finding, err error) {
	if a.store.temporary == nil {
		return nil, nil
	}
	left, err := a.store.temporary()
	for _, b := range left {
		if !a.old(b.Modified) {
			continue
		}
		found = append(found, finding{
			What: b.Key + " was left half-written",
			Hint: "harmless: the next start of a server that is alone with the storage removes it, and --repair now",
			mend: func(_ context.Context, dry bool) (string, error) {
				if dry {
					return "remove it", nil
				}
				return "removed it", a.store.dropTemporary(b.Key)
			},
		})
	}
	return found, err
}

// checkPlaylists reads the playlists that players get: every file is one that the events name, none is empty, and the
// pictures last as long as the plan says, within a frame for each segment.
func checkPlaylists(ctx context.Context, a *audit, v *auditedVideo) (found []finding, _ error) {
	p, err := projections.NewPlaybacks(a.views.playback).Playback(ctx, v.id)
	switch {
	case errors.Is(err, domain.ErrNotFound), errors.Is(err, projections.ErrOutdated):
		return nil, nil
	case err != nil:
		return nil, err
	}
	events := v.events
	if v.video.InWork() { // the playlists may have grown since
		if events, err = a.log.ReadStream(ctx, string(v.id), 0); err != nil {
			return nil, err
		}
	}
	named := map[string]int64{}
	for _, b := range commands.LiveBlobs(events, time.Now()) {
		named[b.Key] = b.Bytes
	}
	wrong := func(name, format string, args ...any) {
		found = append(found, finding{
			What: fmt.Sprintf("%s of video %s: ", name, v.id) + fmt.Sprintf(format, args...),
			Hint: "rebuild what playlists are made of: cinelog replay playback; if that does not help, transcode the video again",
		})
	}
	read := func(name string) (seconds float64, segments int) {
		text, err := projections.MediaPlaylist(p, name, func(b domain.Blob) string { return b.Key })
		if err != nil {
			wrong(name, "%v", err)
			return 0, 0
		}
		keys, seconds, err := readPlaylist(text)
		if err != nil {
			wrong(name, "%v", err)
		}
		for _, key := range keys {
			if named[key] == 0 {
				wrong(name, "%s is empty, or no event names it", key)
			}
		}
		return seconds, len(keys) - 1 // the first one is the initialization
	}
	for _, r := range p.Renditions {
		seconds, segments := read(r.Name)
		if slack := float64(segments+1) * r.FrameRate.Seconds(1); r.Ended && math.Abs(seconds-p.Duration) > slack {
			wrong(r.Name, "it lasts %.3f s, the source %.3f s", seconds, p.Duration)
		}
	}
	for _, track := range p.Audio {
		read(track.Name)
	}
	return found, nil
}

// readPlaylist returns the addresses in a media playlist, that of the initialization first, and how long it lasts.
func readPlaylist(text []byte) (addresses []string, seconds float64, err error) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	pending := false // a duration whose address is still to come
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		duration, isDuration := strings.CutPrefix(line, "#EXTINF:")
		address, isMap := strings.CutPrefix(line, "#EXT-X-MAP:URI=\"")
		switch {
		case n == 1 && line != "#EXTM3U":
			return nil, 0, errors.New("no playlist")
		case isDuration:
			d, err := strconv.ParseFloat(strings.TrimSuffix(duration, ","), 64)
			if err != nil || d <= 0 || pending {
				return nil, 0, fmt.Errorf("line %d: %s", n, line)
			}
			seconds, pending = seconds+d, true
		case isMap:
			addresses = append(addresses, strings.TrimSuffix(address, "\""))
		case strings.HasPrefix(line, "#"), line == "":
		default:
			if !pending || len(addresses) == 0 {
				return nil, 0, fmt.Errorf("line %d: %s", n, line)
			}
			addresses, pending = append(addresses, line), false
		}
	}
	if pending || len(addresses) < 2 {
		return nil, 0, errors.New("it ends too early")
	}
	return addresses, seconds, lines.Err()
}
