package main

import (
	"context"
	"path/filepath"
	"time"

	"github.com/cinelog/cinelog/adapters/localfs"
	"github.com/cinelog/cinelog/adapters/s3"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/web"
)

// media is the storage of blobs, with the addresses at which players find them.
type media struct {
	commands.Blobs
	web.Media

	sum  func(ctx context.Context, key string) (string, error)
	here bool // as files of this machine
	// url and origin are for storage that serves media itself.
	url    func(domain.Blob) string
	origin string
	check  func(context.Context) error // may be nil
	// abortStale drops uploads to storage that were begun before a moment and never ended; may be nil.
	abortStale func(ctx context.Context, before time.Time) (int, error)
	// temporary lists files that are half written, and dropTemporary removes one; both may be nil.
	temporary     func() ([]commands.StoredBlob, error)
	dropTemporary func(key string) error
}

func (o *opener) openBlobs(ctx context.Context) (media, error) {
	at, err := o.blobs()
	if err != nil {
		return media{}, err
	}
	if at.scheme == "file" {
		s, err := localfs.Open(at.rest)
		if s, err = keep(o, s, err); err != nil {
			return media{}, err
		}
		return media{Blobs: s, Media: s, sum: s.Sum, here: true, temporary: s.Temporary, dropTemporary: s.DropTemporary}, nil
	}
	s, err := o.openS3(ctx, at)
	if err != nil {
		return media{}, err
	}
	if err := s.Check(ctx); err != nil {
		return media{}, unreached(err, "is it up? the endpoint in --blobs says where it is")
	}
	return media{
		Blobs: s, Media: s, sum: s.Sum, url: s.MediaURL, origin: s.MediaOrigin(), check: s.Check, abortStale: s.AbortStale,
	}, nil
}

func (o *opener) openS3(ctx context.Context, at place) (*s3.Store, error) {
	options, err := s3.ParseURL(at.rest)
	if err != nil {
		return nil, err
	}
	options.CacheDir, options.ContentType, options.Now = filepath.Join(o.Data, "cache"), web.MediaType, time.Now
	s, err := s3.Open(ctx, options)
	return keep(o, s, err)
}
