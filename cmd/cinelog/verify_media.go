package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// mediaCheck holds the log and the stored media against each other, video by video, so that it needs no more memory
// than the largest video and the list of their ids.
type mediaCheck struct {
	log   logReader
	store media
	quick bool // sizes only

	videos, files int // files that are as they must be
	lost, extra   []string
}

func checkMedia(ctx context.Context, log logReader, store media, quick bool) (*mediaCheck, error) {
	m := &mediaCheck{log: log, store: store, quick: quick}
	ids, err := log.Streams(ctx)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, id := range ids {
		known[id] = true
		if err := m.video(ctx, domain.VideoID(id)); err != nil {
			return nil, fmt.Errorf("check the media of video %s: %w", id, err)
		}
	}
	m.videos = len(ids)
	return m, m.store.List(ctx, "", func(b commands.StoredBlob) error {
		parts := strings.SplitN(b.Key, "/", 3)
		if len(parts) == 3 && !known[parts[1]] { // created since, or never
			events, err := log.ReadStream(ctx, parts[1], 0)
			if err != nil {
				return err
			}
			known[parts[1]] = len(events) > 0
		}
		if len(parts) < 3 || !known[parts[1]] {
			m.extra = append(m.extra, b.Key+" is stored but no event names it")
		}
		return nil
	})
}

// video compares one video, and again when something is not as it must be: a server may be at work on it.
func (m *mediaCheck) video(ctx context.Context, id domain.VideoID) error {
	for try := 1; ; try++ {
		files, lost, extra, err := m.compare(ctx, id)
		if err != nil {
			return err
		}
		if try == 2 || len(lost)+len(extra) == 0 {
			m.files += files
			m.lost, m.extra = append(m.lost, lost...), append(m.extra, extra...)
			return nil
		}
	}
}

func (m *mediaCheck) compare(ctx context.Context, id domain.VideoID) (files int, lost, extra []string, err error) {
	events, err := m.log.ReadStream(ctx, string(id), 0)
	if err != nil {
		return 0, nil, nil, err
	}
	named := commands.LiveBlobs(events, time.Now())
	missing := make(map[string]domain.Blob, len(named))
	for _, b := range named {
		missing[b.Key] = b
	}
	v := domain.LoadVideo(events)
	for _, prefix := range commands.BlobPrefixes(id) {
		err := m.store.List(ctx, prefix, func(s commands.StoredBlob) error {
			want, ok := missing[s.Key]
			switch {
			case ok:
			case v.InWork(), commands.ToBeNamed(v, s.Key): // what is stored now will be named
				return nil
			default:
				extra = append(extra, s.Key+" is stored but no event names it")
				return nil
			}
			delete(missing, s.Key)
			wrong, err := m.differs(ctx, s, want)
			if wrong != "" {
				lost = append(lost, wrong)
			} else {
				files++
			}
			return err
		})
		if err != nil {
			return 0, nil, nil, err
		}
	}
	for _, b := range named {
		if _, ok := missing[b.Key]; ok {
			lost = append(lost, b.Key+" is missing")
		}
	}
	return files, lost, extra, nil
}

// differs says what is wrong with a stored file.
func (m *mediaCheck) differs(ctx context.Context, s commands.StoredBlob, want domain.Blob) (string, error) {
	if s.Bytes != want.Bytes {
		return fmt.Sprintf("%s has %d bytes, the log says %d", s.Key, s.Bytes, want.Bytes), nil
	}
	if m.quick {
		return "", nil
	}
	sum, err := m.store.sum(ctx, s.Key)
	switch {
	case errors.Is(err, domain.ErrNotFound): // deleted since it was listed
		return s.Key + " is missing", nil
	case err == nil && sum != want.SHA256:
		return s.Key + " has other content than was recorded", nil
	}
	return "", err
}
