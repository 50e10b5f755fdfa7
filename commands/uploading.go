package commands

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/cinelog/cinelog/domain"
)

// UploadSource asks to store a video's source.
type UploadSource struct {
	Video    domain.VideoID
	Filename string // what the client calls it, to be shown only
	Body     io.Reader
	Bytes    int64  // how long the body is; 0 when that is not known
	SHA256   []byte // what the client says the digest is; nil when it does not
	Key      IdempotencyKey
}

// CanUpload says whether a source may be sent for a video now, before anybody sends one. ErrNotFound, ErrNotAllowed.
func (s *Service) CanUpload(ctx context.Context, id domain.VideoID) error {
	v, err := s.load(ctx, id)
	if err != nil {
		return err
	}
	return v.CanUpload()
}

// UploadSource streams a source into storage and then records it: when it returns nil both are durable. After an
// error of the body nothing is stored. ErrNotFound and ErrNotAllowed come before the body is read. ErrTooLarge,
// ErrInvalid when the digest differs.
func (s *Service) UploadSource(ctx context.Context, u UploadSource) (Result, error) {
	var blob domain.Blob
	var ahead *foresight
	recorded := false
	r, err := s.command(ctx, u.Video, u.Key, func(v domain.Video) ([]domain.Event, error) {
		events, err := v.Upload(u.Filename, blob)
		recorded = len(events) > 0
		return ahead.take(events), err
	}, func() error {
		v, err := s.load(ctx, u.Video)
		if err == nil {
			err = v.CanUpload()
		}
		if err != nil {
			return err
		}
		key, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("make a key for a source: %w", err)
		}
		name := sourcesPrefix(u.Video) + key.String()
		ahead = s.Ahead.begin(s, u, v.Attempt+1, name) //nolint:contextcheck // what is at work goes on when the request has ended
		blob, err = s.storeSource(ctx, u, name, ahead)
		return err
	})
	ahead.done(ctx, err == nil && recorded, recorded)
	// Only a blob that no commit can name may go: after a failed append nobody knows whether it is in the log.
	if blob.Key != "" && !recorded {
		s.discard(ctx, blob.Key)
	}
	if err == nil {
		s.uploads.Delete(blob.Key)
	}
	return r, err
}

func (s *Service) storeSource(ctx context.Context, u UploadSource, key string, ahead *foresight) (domain.Blob, error) {
	body := u.Body
	if s.MaxSourceBytes > 0 {
		body = &limitedReader{r: body, left: s.MaxSourceBytes}
	}
	s.uploads.Store(key, true)
	blob, err := s.Blobs.Put(ctx, key, ahead.body(body))
	ahead.stored()
	if err != nil {
		s.uploads.Delete(key)
		return domain.Blob{}, fmt.Errorf("store the source of video %s: %w", u.Video, err)
	}
	sum, err := hex.DecodeString(blob.SHA256)
	if err != nil {
		return domain.Blob{}, fmt.Errorf("store the source of video %s: digest %q: %w", u.Video, blob.SHA256, err)
	}
	if u.SHA256 != nil && !bytes.Equal(sum, u.SHA256) {
		s.discard(ctx, blob.Key)
		return domain.Blob{}, &domain.Invalid{Fields: []domain.FieldError{{
			Field: "Content-Digest", Message: fmt.Sprintf("says SHA-256 %x, the body has %s", u.SHA256, blob.SHA256),
		}}}
	}
	return blob, nil
}

// discard removes blobs that nothing names, also when the caller has gone away. Failing is harmless: they are swept
// later.
func (s *Service) discard(ctx context.Context, keys ...string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	_ = s.Blobs.Delete(ctx, keys...)
	for _, key := range keys {
		s.uploads.Delete(key)
	}
}

// limitedReader gives ErrTooLarge where io.LimitReader gives a quiet end.
type limitedReader struct {
	r    io.Reader
	left int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1] // one more than allowed, to see whether there is more
	}
	n, err := l.r.Read(p)
	l.left -= int64(n)
	if l.left < 0 {
		return 0, fmt.Errorf("the source: %w", domain.ErrTooLarge)
	}
	return n, err
}

// Where blobs are kept. A source and the media of each attempt have prefixes of their own, so that what nobody needs
// any longer is found by listing.
const (
	sourcesRoot = "sources/"
	mediaRoot   = "media/"
)

// BlobPrefixes returns what the keys of a video's blobs begin with.
func BlobPrefixes(id domain.VideoID) []string { return []string{mediaPrefix(id), sourcesPrefix(id)} }

func sourcesPrefix(id domain.VideoID) string { return sourcesRoot + string(id) + "/" }

func mediaPrefix(id domain.VideoID) string { return mediaRoot + string(id) + "/" }

func attemptPrefix(id domain.VideoID, attempt int) string {
	return fmt.Sprintf("%sa%d/", mediaPrefix(id), attempt)
}
