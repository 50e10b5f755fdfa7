//go:build !linux

package localfs

import (
	"errors"
	"os"
)

// setDirect cannot do that here: all goes through the machine's cache.
func setDirect(*os.File, bool) error { return errors.ErrUnsupported }

// startWriteback does nothing here: the fsync at the end takes longer, and that is all.
func startWriteback(*os.File, int64, int64) {}
