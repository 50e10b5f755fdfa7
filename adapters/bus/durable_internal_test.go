package bus

import (
	"database/sql"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	_ "modernc.org/sqlite" // the driver named "sqlite"
)

// What is published to a durable topic is written with FULL, and everything else as before, also after it.
func TestDurableTopicsWaitForTheDisk(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "bus.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	q, err := Open(t.Context(), db, Options{Now: time.Now, Durable: []string{"views"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	// A trigger notes how each message was written.
	for _, topic := range []string{"events", "views", "events"} {
		if err := q.DeclareGroup(t.Context(), topic, "group"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := q.store.conn.ExecContext(t.Context(), `CREATE TABLE written (topic TEXT, synchronous INTEGER);
		CREATE TRIGGER note AFTER INSERT ON messages BEGIN
			INSERT INTO written SELECT NEW.topic, synchronous FROM pragma_synchronous; END`); err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{"events", "views", "events"} {
		if err := q.Publisher().Publish(topic, message.NewMessageWithContext(t.Context(), topic, []byte("x"))); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := q.store.conn.QueryContext(t.Context(), `SELECT topic || synchronous FROM written ORDER BY rowid`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var got []string
	for rows.Next() {
		var one string
		if err := rows.Scan(&one); err != nil {
			t.Fatal(err)
		}
		got = append(got, one)
	}
	if want := []string{"events1", "views2", "events1"}; rows.Err() != nil || !slices.Equal(got, want) { // 1 is NORMAL, 2 is FULL
		t.Errorf("written are %q, %v; want %q", got, rows.Err(), want)
	}
}
