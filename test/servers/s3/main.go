// Command s3 speaks the S3 protocol on a directory, by versitygw. Access key and secret are "cinelog" and
// "cinelog-secret".
package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"

	"github.com/cinelog/cinelog/test/servers/serve"
)

// health is a path that no bucket can have.
const health = "/-health"

func main() {
	serve.Main(func(ctx context.Context, o serve.Options, ready func(string)) error {
		listen, err := serve.FreePort(o.Listen)
		if err != nil {
			return err
		}
		store, err := posix.New(o.Data, meta.XattrMeta{}, posix.PosixOpts{})
		if err != nil {
			return fmt.Errorf("%s (its file system must have extended attributes): %w", o.Data, err)
		}
		done := make(chan error, 1)
		go func() {
			done <- embedgw.RunVersityGW(ctx, store, &embedgw.Config{
				RootUserAccess: "cinelog", RootUserSecret: "cinelog-secret", Ports: []string{listen},
				MaxConnections: 10_000, MaxRequests: 10_000, MultipartMaxParts: 10_000,
				KeepAlive: true, Quiet: true, HealthPath: health,
			})
		}()
		for { // it does not say when it listens
			if res, err := http.Get("http://" + listen + health); err == nil {
				_ = res.Body.Close() // the answer is what counts
				ready("http://" + listen)
				return <-done
			}
			select {
			case err := <-done:
				return err
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
}
