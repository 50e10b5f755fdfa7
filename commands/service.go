package commands

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/cinelog/cinelog/domain"
)

// Service does what people and programs ask for. Use it by pointer; its methods may be called by several goroutines.
type Service struct {
	Log   EventLog
	Blobs Blobs
	Now   func() time.Time
	// Appended is told the position of each append, to wake whoever waits for events; may be nil. It must not block.
	Appended func(domain.Position)
	// MaxSourceBytes limits the size of a source; 0 means no limit.
	MaxSourceBytes int64
	// Ahead works on sources while they are being sent; may be nil.
	Ahead *Ahead

	uploads sync.Map // keys of sources that this process stores and that the log may come to name
	keys    sync.Map // commit ids of requests with an Idempotency-Key that are in work in this process
}

// Result says where a command's events stand. A command that changed nothing gives the video's newest position.
type Result struct {
	Video    domain.VideoID
	Position domain.Position
	Version  int
}

// IdempotencyKey is a client's name for one request. The zero value means that it gave none.
type IdempotencyKey struct {
	Key string
	// RequestHash is a digest of everything that makes the request what it is: method, path and body. Where the body
	// is a file, of its declared digest or nothing.
	RequestHash string
}

// attemptsOnConflict bounds how often a decision is taken again because somebody else was faster. Each round somebody
// made progress, so running out of them needs that many writers on one video at once.
const attemptsOnConflict = 32

type (
	metaKey        struct{}
	idempotencyKey struct{}
)

// WithMeta says who is acting, and within which user action, in all commands under the context.
func WithMeta(ctx context.Context, m domain.Meta) context.Context {
	return context.WithValue(ctx, metaKey{}, m)
}

func metaFrom(ctx context.Context) domain.Meta {
	m, _ := ctx.Value(metaKey{}).(domain.Meta)
	if m.Actor == "" {
		m.Actor = "local"
	}
	return m
}

// WithIdempotencyKey names the request for a command whose arguments have no place for the key.
func WithIdempotencyKey(ctx context.Context, k IdempotencyKey) context.Context {
	return context.WithValue(ctx, idempotencyKey{}, k)
}

// load folds a video from its events.
func (s *Service) load(ctx context.Context, id domain.VideoID) (domain.Video, error) {
	events, err := s.Log.ReadStream(ctx, string(id), 0)
	if err != nil {
		return domain.Video{}, fmt.Errorf("load video %s: %w", id, err)
	}
	return domain.LoadVideo(events), nil
}

// History returns a video's events, oldest first, also those of a deleted one. ErrNotFound when there are none.
func (s *Service) History(ctx context.Context, id domain.VideoID) ([]domain.Recorded, error) {
	events, err := s.Log.ReadStream(ctx, string(id), 0)
	if err != nil {
		return nil, fmt.Errorf("read the history of video %s: %w", id, err)
	}
	if len(events) == 0 {
		return nil, fmt.Errorf("video %s: %w", id, domain.ErrNotFound)
	}
	return events, nil
}

// decide is the one way from a command to events: load, decide, append, and all of it again when somebody else was
// faster. No events means nothing to change, and is not appended. An error of the decision comes back as it is.
func (s *Service) decide(
	ctx context.Context, id domain.VideoID, meta domain.Meta, commitID string,
	decision func(domain.Video) ([]domain.Event, error),
) (Result, error) {
	for range attemptsOnConflict {
		v, err := s.load(ctx, id)
		if err != nil {
			return Result{}, err
		}
		events, err := decision(v)
		if err != nil {
			return Result{}, err
		}
		if len(events) == 0 {
			return Result{Video: id, Position: v.Position, Version: v.Version}, nil
		}
		at, err := s.Log.Append(ctx, domain.Commit{
			ID: commitID, Stream: string(id), Expected: v.Version, Time: s.Now(), Meta: meta, Events: events,
		})
		if errors.Is(err, domain.ErrConflict) {
			continue
		}
		if err != nil {
			return Result{}, fmt.Errorf("append to video %s: %w", id, err)
		}
		if s.Appended != nil {
			s.Appended(at.Position)
		}
		return Result{Video: id, Position: at.Position, Version: at.Version}, nil
	}
	return Result{}, fmt.Errorf("video %s changed %d times meanwhile: %w", id, attemptsOnConflict, domain.ErrConflict)
}

// command runs a decision for a client: once for each idempotency key, if it gave one. prepare, which may be nil, is
// for work that must not be done again for a key that has its result.
func (s *Service) command(
	ctx context.Context, id domain.VideoID, key IdempotencyKey,
	decision func(domain.Video) ([]domain.Event, error), prepare func() error,
) (Result, error) {
	meta := metaFrom(ctx)
	if key.Key == "" {
		key, _ = ctx.Value(idempotencyKey{}).(IdempotencyKey)
	}
	if key.Key == "" {
		commitID, err := uuid.NewV7()
		if err != nil {
			return Result{}, fmt.Errorf("make a commit id: %w", err)
		}
		if prepare != nil {
			if err := prepare(); err != nil {
				return Result{}, err
			}
		}
		return s.decide(ctx, id, meta, commitID.String(), decision)
	}
	meta.Request = key.RequestHash
	commitID := key.commitID(meta.Actor)
	if _, busy := s.keys.LoadOrStore(commitID, true); busy {
		return Result{}, fmt.Errorf("the first request with this Idempotency-Key is still in work: %w", domain.ErrConflict)
	}
	defer s.keys.Delete(commitID)
	if r, found, err := s.firstResult(ctx, commitID, key); found || err != nil {
		return r, err
	}
	if prepare != nil {
		if err := prepare(); err != nil {
			return Result{}, err
		}
	}
	r, err := s.decide(ctx, id, meta, commitID, decision)
	if err != nil {
		return Result{}, err
	}
	// Another process may have been first with this key, on another stream even: then Append answered with its result.
	if first, found, err := s.firstResult(ctx, commitID, key); found || err != nil {
		return first, err
	}
	return r, nil
}

// firstResult finds what a key's first request led to.
func (s *Service) firstResult(ctx context.Context, commitID string, key IdempotencyKey) (Result, bool, error) {
	events, err := s.Log.ReadCommit(ctx, commitID)
	if err != nil {
		return Result{}, false, fmt.Errorf("look an Idempotency-Key up: %w", err)
	}
	if len(events) == 0 {
		return Result{}, false, nil
	}
	last := events[len(events)-1]
	if last.Meta.Request != key.RequestHash {
		return Result{}, false, &domain.Invalid{Fields: []domain.FieldError{
			{Field: "Idempotency-Key", Message: "was used for another request"},
		}}
	}
	return Result{Video: last.VideoID(), Position: last.Position, Version: last.Version}, true, nil
}

// commitID is the same for the same key of the same actor. Two actors' keys never meet.
func (k IdempotencyKey) commitID(actor string) string {
	scope := sha256.Sum256([]byte(actor))
	sum := sha256.Sum256(append(scope[:], k.Key...))
	return "key-" + hex.EncodeToString(sum[:])
}
