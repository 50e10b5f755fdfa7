package bus_test

import (
	"context"
	"database/sql"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	"go.uber.org/goleak"
	_ "modernc.org/sqlite"

	"github.com/cinelog/cinelog/adapters/bus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// openDB opens a file as the server does.
func openDB(tb testing.TB, path string) *sql.DB {
	tb.Helper()
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{
		"_txlock": {"immediate"},
		"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(NORMAL)"},
	}.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

func open(tb testing.TB, db *sql.DB, o bus.Options) *bus.Queues {
	tb.Helper()
	if o.Now == nil {
		o.Now = time.Now
	}
	q, err := bus.Open(context.Background(), db, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = q.Close() })
	return q
}

// Watermill's own suite. What holds, and what does not:
//   - ConsumerGroups, Persistent: yes.
//   - GuaranteedOrder: only with one subscription, as here, and as long as nothing fails; a message that is nacked waits
//     while others pass it. No part of the product relies on it.
//   - ExactlyOnceDelivery: no; a message whose acknowledgement is not stored comes again.
//   - NewSubscriberReceivesOldMessages: no; a message is kept for the groups declared before it was published.
func TestWatermillSuite(t *testing.T) {
	t.Parallel()
	features := tests.Features{
		ConsumerGroups: true, Persistent: true, GuaranteedOrder: true, GuaranteedOrderWithSingleSubscriber: true,
		ForceShort: testing.Short(),
	}
	db := openDB(t, filepath.Join(t.TempDir(), "bus.db"))
	q := open(t, db, bus.Options{
		MaxReceive: 1000, Grace: 10 * time.Millisecond,
		Backoff: func(int) time.Duration { return time.Millisecond },
	})
	inGroup := func(_ *testing.T, group string) (message.Publisher, message.Subscriber) {
		return q.Publisher(), q.Subscriber(group)
	}
	everybody := func(t *testing.T) (message.Publisher, message.Subscriber) {
		t.Helper()
		return inGroup(t, "everybody")
	}
	t.Run("all", func(t *testing.T) { tests.TestPubSub(t, features, everybody, inGroup) })
}
