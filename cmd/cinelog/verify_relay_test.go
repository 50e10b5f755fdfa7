package main

import (
	"errors"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
	"github.com/cinelog/cinelog/test/backends"
)

// Where messages are elsewhere the relay's checkpoint is a read model without rows; a repair sets it back there too.
func TestTheRelayGoesBackWithRowsToo(t *testing.T) {
	t.Parallel()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	inFile, err := sqlite.OpenRows(t.Context(), t.TempDir(), projections.RelayModel())
	must(err)
	t.Cleanup(func() { must(inFile.Close()) })
	db, err := mongo.Open(t.Context(), backends.Mongo(t), time.Now)
	must(err)
	t.Cleanup(func() { must(db.Close()) })
	relay := projections.RelayModel()
	_, err = db.Provision(t.Context(), false, mongo.View{Name: relay.Name, Version: relay.Version})
	must(err)
	inMongo, err := mongo.OpenRows(t.Context(), db, projections.RelayModel())
	must(err)
	for name, rows := range map[string]projections.Rows[struct{}]{"sqlite": inFile, "mongo": inMongo} {
		b := awsBus{checkpoint: &rowsCheckpoint{rows: rows}}
		must(rows.Save(t.Context(), nil, nil, 0, 1000))
		must(b.setPublished(t.Context(), 7))
		if at, err := b.published(t.Context()); err != nil || at != 7 {
			t.Errorf("%s: at %d, %v", name, at, err)
		}
		if err := rows.Save(t.Context(), nil, nil, 1000, 1001); !errors.Is(err, domain.ErrConflict) {
			t.Errorf("%s: a relay that has not heard of it goes on: %v", name, err)
		}
		must(rows.Save(t.Context(), nil, nil, 7, 9))
	}
}
