package s3_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cinelog/cinelog/adapters/s3"
)

// TestConnectionsLiveWhileSomethingMoves plays HTTP: a read waits for the answer from before the request on.
func TestConnectionsLiveWhileSomethingMoves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const silence = 10 * time.Second
		ours, theirs := net.Pipe()
		defer theirs.Close()
		c := s3.NewLively(ours, silence)
		defer c.Close()
		answer := make([]byte, 1)
		read := make(chan error, 1)
		go func() {
			_, err := c.Read(answer)
			read <- err
		}()
		go func() { _, _ = io.CopyN(io.Discard, theirs, 5) }()
		for range 5 { // a request that takes longer than the silence
			time.Sleep(silence - time.Second)
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		for range 5 { // and so does the answer
			time.Sleep(silence - time.Second)
			if _, err := theirs.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if err := <-read; err != nil {
				t.Fatal(err)
			}
			go func() {
				_, err := c.Read(answer)
				read <- err
			}()
		}
		begin := time.Now()
		if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) != silence {
			t.Errorf("after %s of silence: %v", time.Since(begin), err)
		}
		if _, err := c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("nobody takes it: %v", err)
		}
	})
}
