package bus_test

import (
	"path/filepath"
	"testing"
	"time"

	"maragu.dev/goqite"

	"github.com/cinelog/cinelog/adapters/bus"
	"github.com/cinelog/cinelog/adapters/contract"
)

func TestBusContract(t *testing.T) {
	t.Parallel()
	contract.MessageBus(t, contract.BusFeatures{
		Priorities: []int{10, 0, -5}, MinLease: 300 * time.Millisecond, WakeUp: 50 * time.Millisecond,
	}, func(t *testing.T) func(*testing.T, contract.BusOptions) *contract.Bus {
		t.Helper()
		path := filepath.Join(t.TempDir(), "bus.db")
		return func(t *testing.T, o contract.BusOptions) *contract.Bus {
			t.Helper()
			return forContract(t, path, o)
		}
	})
}

func forContract(tb testing.TB, path string, o contract.BusOptions) *contract.Bus {
	tb.Helper()
	q := open(tb, openDB(tb, path), bus.Options{
		Lease: o.Lease, MaxReceive: o.MaxReceive, Backoff: func(int) time.Duration { return o.Backoff },
		Grace: 10 * time.Millisecond,
	})
	return &contract.Bus{
		Publisher: q.Publisher(), Subscriber: q.Subscriber,
		DeadLetters: q.DeadLetters, Redrive: q.Redrive, Drop: q.Drop, Close: q.Close,
	}
}

func BenchmarkBus(b *testing.B) {
	contract.BenchmarkBus(b, func(b *testing.B) *contract.Bus {
		b.Helper()
		return forContract(b, filepath.Join(b.TempDir(), "bus.db"), contract.BusOptions{})
	})
}

// BenchmarkGoqite is what the queues are compared with: the library whose semantics they have.
func BenchmarkGoqite(b *testing.B) {
	db := openDB(b, filepath.Join(b.TempDir(), "goqite.db"))
	if _, err := db.ExecContext(b.Context(), goqiteSchema); err != nil {
		b.Fatal(err)
	}
	q := goqite.New(goqite.NewOpts{DB: db, Name: "topic", Timeout: 30 * time.Second})
	body := make([]byte, 300)
	b.Run("publish", func(b *testing.B) {
		for b.Loop() {
			if err := q.Send(b.Context(), goqite.Message{Body: body}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("receive and acknowledge", func(b *testing.B) {
		for range b.N {
			if err := q.Send(b.Context(), goqite.Message{Body: body}); err != nil {
				b.Fatal(err)
			}
		}
		b.ResetTimer()
		for range b.N {
			m, err := q.Receive(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			if err := q.Delete(b.Context(), m.ID); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// goqiteSchema is schema_sqlite.sql of goqite v0.4.0, which the module does not export.
const goqiteSchema = `
create table goqite (
  id text primary key default ('m_' || lower(hex(randomblob(16)))),
  created text not null default (strftime('%Y-%m-%dT%H:%M:%fZ')),
  updated text not null default (strftime('%Y-%m-%dT%H:%M:%fZ')),
  queue text not null,
  body blob not null,
  timeout text not null default (strftime('%Y-%m-%dT%H:%M:%fZ')),
  received integer not null default 0,
  priority integer not null default 0
) strict;
create trigger goqite_updated_timestamp after update on goqite begin
  update goqite set updated = strftime('%Y-%m-%dT%H:%M:%fZ') where id = old.id;
end;
create index goqite_queue_priority_created_idx on goqite (queue, priority desc, created);`
