package main

import (
	"context"
	"time"

	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// views are the read models, wherever they are.
type views struct {
	catalog  catalogRows
	playback playbackRows
	figures  figures
}

type catalogRows interface {
	readModel
	projections.Rows[projections.Video]
	projections.Catalog
}

type playbackRows interface {
	readModel
	projections.Rows[projections.PlaybackRow]
	projections.RowReader[projections.PlaybackRow]
}

type figures interface {
	readModel
	projections.Facts
	// CatchUp takes from the log what was before the first message.
	CatchUp(ctx context.Context, log projections.Log) error
}

// model returns one of readModels.
func (v views) model(name string) readModel {
	return map[string]readModel{
		projections.CatalogName: v.catalog, projections.PlaybackName: v.playback, projections.AnalyticsName: v.figures,
	}[name]
}

func (o *opener) openViews(ctx context.Context) (v views, err error) {
	at, err := o.views()
	if err != nil {
		return v, err
	}
	if at.scheme == "mongodb" {
		return o.openMongoViews(ctx, at.rest)
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

func (o *opener) openMongoViews(ctx context.Context, uri string) (v views, err error) {
	db, err := o.mongo(ctx, uri)
	if err != nil {
		return v, err
	}
	if v.catalog, err = mongo.OpenCatalog(ctx, db); err != nil {
		return v, err
	}
	if v.playback, err = mongo.OpenRows(ctx, db, projections.PlaybackModel()); err != nil {
		return v, err
	}
	v.figures, err = mongo.OpenAnalytics(ctx, db)
	return v, err
}

// targets are what keeps the read models up to date, with the one that tells how far each is.
func (v views) targets() []projections.Target {
	return []projections.Target{
		projections.NewReadModel(projections.CatalogModel(), v.catalog),
		projections.NewReadModel(projections.PlaybackModel(), v.playback),
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
			if err != nil {
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
