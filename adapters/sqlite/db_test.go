package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/cinelog/cinelog/adapters/sqlite"
)

func TestOpenDBSetsEveryConnection(t *testing.T) {
	t.Parallel()
	for _, d := range []sqlite.Durability{sqlite.Full, sqlite.Normal} {
		// A name with everything that means something in a URL must still be just a name.
		db, err := sqlite.OpenDB(t.Context(), filepath.Join(t.TempDir(), "odd ?#%41&ü.db"), d)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		synchronous := map[sqlite.Durability]string{sqlite.Full: "2", sqlite.Normal: "1"}[d]
		for pragma, want := range map[string]string{
			"journal_mode": "wal", "synchronous": synchronous, "busy_timeout": "5000", "foreign_keys": "1",
			"cache_size": "-1024",
		} {
			var got string
			if err := db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("%s: PRAGMA %s = %s, want %s", d, pragma, got, want)
			}
		}
	}
}

func TestOpenReadOnlySeesAndCannotWrite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.db")
	if _, err := sqlite.OpenReadOnly(t.Context(), path); err == nil {
		t.Fatal("opened a file that does not exist")
	}
	db, err := sqlite.OpenDB(t.Context(), path, sqlite.Full)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE a(b); INSERT INTO a VALUES (7)"); err != nil {
		t.Fatal(err)
	}
	ro, err := sqlite.OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ro.Close() })
	var b int
	if err := ro.QueryRowContext(t.Context(), "SELECT b FROM a").Scan(&b); err != nil || b != 7 {
		t.Errorf("read %d, %v", b, err)
	}
	if _, err := ro.ExecContext(t.Context(), "INSERT INTO a VALUES (8)"); err == nil {
		t.Error("a read-only handle wrote")
	}
}
