// Command mongo speaks the MongoDB protocol on SQLite files, by FerretDB. It has neither transactions nor atomic
// updates; inserts with unique keys are atomic.
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/FerretDB/FerretDB/ferretdb"

	"github.com/cinelog/cinelog/test/servers/serve"
)

func main() {
	serve.Main(func(ctx context.Context, o serve.Options, ready func(string)) error {
		f, err := ferretdb.New(&ferretdb.Config{
			Listener:  ferretdb.ListenerConfig{TCP: o.Listen},
			Logger:    slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
			Handler:   "sqlite",
			SQLiteURL: "file:" + o.Data + "/",
		})
		if err != nil {
			return err
		}
		ready(f.MongoDBURI()) // it listens: connections wait until Run accepts them
		return f.Run(ctx)
	})
}
