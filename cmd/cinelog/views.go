package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// views are the read models, wherever they are, with what people have said about them.
type views struct {
	catalog  catalogRows
	playback playbackRows
	figures  figures
	controls projections.Controls
	replays  projections.Replays
}

// readModel is what can be rebuilt.
type readModel interface {
	projections.StoredModel
	Rebuild(ctx context.Context, log projections.Log, o *projections.RebuildOptions) (projections.Rebuilt, error)
	Verify(ctx context.Context, log projections.Log, o *projections.RebuildOptions) (projections.Rebuilt, error)
	Rollback(ctx context.Context, log projections.Log, o *projections.RebuildOptions) (projections.Rebuilt, error)
}

// forgetful is a read model that can remove what is left of rows that are gone, on disk and in generations before.
type forgetful interface {
	Forget(ctx context.Context) error
}

// readModels names all of them.
func readModels() []string {
	return []string{projections.CatalogName, projections.PlaybackName, projections.AnalyticsName}
}

// versionOf is the version of a model in this program.
func versionOf(name string) int {
	switch name {
	case projections.CatalogName:
		return projections.CatalogModel().Version
	case projections.PlaybackName:
		return projections.PlaybackModel().Version
	}
	return projections.AnalyticsVersion
}

type catalogRows interface {
	readModel
	forgetful
	projections.Rows[projections.Video]
	projections.Catalog
}

type playbackRows interface {
	readModel
	forgetful
	projections.Rows[projections.PlaybackRow]
	projections.RowReader[projections.PlaybackRow]
}

type figures interface {
	readModel
	projections.Facts
	// CatchUp takes from the log what was before the first message.
	CatchUp(ctx context.Context, log projections.Log, skip func(domain.Position) bool) error
}

// model returns one of readModels, built without the events that it is to skip.
func (v views) model(name string) readModel {
	m := map[string]readModel{
		projections.CatalogName: v.catalog, projections.PlaybackName: v.playback, projections.AnalyticsName: v.figures,
	}[name]
	return skipping{m, name, v.controls}
}

// skipping has every build of a read model leave out what people have said that it skips.
type skipping struct {
	readModel

	name     string
	controls projections.Controls
}

// Rebuild implements readModel.
func (s skipping) Rebuild(ctx context.Context, log projections.Log, o *projections.RebuildOptions) (projections.Rebuilt, error) {
	with, err := s.with(ctx, o)
	if err != nil {
		return projections.Rebuilt{}, err
	}
	return s.readModel.Rebuild(ctx, log, with)
}

// Verify implements readModel.
func (s skipping) Verify(ctx context.Context, log projections.Log, o *projections.RebuildOptions) (projections.Rebuilt, error) {
	with, err := s.with(ctx, o)
	if err != nil {
		return projections.Rebuilt{}, err
	}
	return s.readModel.Verify(ctx, log, with)
}

// Rollback implements readModel.
func (s skipping) Rollback(ctx context.Context, log projections.Log, o *projections.RebuildOptions) (projections.Rebuilt, error) {
	with, err := s.with(ctx, o)
	if err != nil {
		return projections.Rebuilt{}, err
	}
	return s.readModel.Rollback(ctx, log, with)
}

func (s skipping) with(ctx context.Context, o *projections.RebuildOptions) (*projections.RebuildOptions, error) {
	said, err := s.controls.Control(ctx, s.name)
	if err != nil {
		return nil, err
	}
	with := o.OrZero()
	var skips projections.Skips
	skips.Set(said.Skips)
	with.Skip = skips.Has
	positions := make([]domain.Position, len(said.Skips))
	for i, s := range said.Skips {
		positions[i] = s.Position
	}
	if vouch := with.Vouch; vouch != nil { // a build that has skipped others is another build
		with.Vouch = func(ctx context.Context, upTo domain.Position) (string, error) {
			text, err := vouch(ctx, upTo)
			return fmt.Sprint(text, " without ", positions), err
		}
	}
	with.Settled = func(ctx context.Context) error {
		now, err := s.controls.Control(ctx, s.name)
		if err == nil && len(now.Skips) != len(said.Skips) { // none is ever taken back
			err = fmt.Errorf("%w: it was said meanwhile to skip an event: begin again", domain.ErrConflict)
		}
		return err
	}
	return &with, nil
}

func (o *opener) openViews(ctx context.Context) (v views, err error) {
	if v.controls, v.replays, err = o.controls(ctx); err != nil {
		return v, err
	}
	at, err := o.views()
	if err != nil {
		return v, err
	}
	if at.scheme == "mongodb" {
		err = o.openMongoViews(ctx, at.rest, &v)
		return v, err
	}
	catalog, err := sqlite.OpenCatalog(ctx, at.rest)
	if v.catalog, err = keep(o, catalog, err); err != nil {
		return v, err
	}
	playback, err := sqlite.OpenRows(ctx, at.rest, projections.PlaybackModel())
	if v.playback, err = keep(o, playback, err); err != nil {
		return v, err
	}
	analytics, err := sqlite.OpenAnalytics(ctx, at.rest)
	v.figures, err = keep(o, analytics, err)
	return v, err
}

func (o *opener) openMongoViews(ctx context.Context, uri string, v *views) error {
	db, err := o.mongo(ctx, uri)
	if err != nil {
		return err
	}
	if v.catalog, err = mongo.OpenCatalog(ctx, db); err != nil {
		return err
	}
	if v.playback, err = mongo.OpenRows(ctx, db, projections.PlaybackModel()); err != nil {
		return err
	}
	v.figures, err = mongo.OpenAnalytics(ctx, db)
	return err
}

// projected is a read model that follows the log by itself.
type projected struct {
	name   string
	target projections.Target
	skips  *projections.Skips
	forgetful
}

// projected are the targets that keep the read models up to date.
func (v views) projected() []projected {
	catalog, playback := projections.CatalogModel(), projections.PlaybackModel()
	var skips [2]projections.Skips
	catalog.Skip, playback.Skip = skips[0].Has, skips[1].Has
	return []projected{
		{catalog.Name, projections.NewReadModel(catalog, v.catalog), &skips[0], v.catalog},
		{playback.Name, projections.NewReadModel(playback, v.playback), &skips[1], v.playback},
	}
}

// stored waits for read models that another process keeps: nobody tells how far they are, so they are asked, while
// somebody waits.
type stored struct{ views }

// Wait implements web.Freshness.
func (s stored) Wait(ctx context.Context, least domain.Position) error {
	for _, rows := range []interface {
		Checkpoint(ctx context.Context) (domain.Position, error)
	}{s.catalog, s.playback} {
		for pause := 10 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
			at, err := rows.Checkpoint(ctx)
			if err != nil && !errors.Is(err, projections.ErrOutdated) {
				return err
			}
			if at >= least {
				break
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(pause):
			}
		}
	}
	return nil
}
