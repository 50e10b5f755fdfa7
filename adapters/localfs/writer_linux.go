package localfs

import (
	"os"

	"golang.org/x/sys/unix"
)

// setDirect lets writes go past the machine's cache, or not any more.
func setDirect(f *os.File, direct bool) error {
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err != nil {
		return err //nolint:wrapcheck // nobody reads it
	}
	flags &^= unix.O_DIRECT
	if direct {
		flags |= unix.O_DIRECT
	}
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETFL, flags)
	return err //nolint:wrapcheck // nobody reads it
}

// startWriteback tells the disk to begin with a span of a file, so that the fsync at the end has little left to do. It
// promises nothing, so its error does not matter.
func startWriteback(f *os.File, offset, n int64) {
	_ = unix.SyncFileRange(int(f.Fd()), offset, n, unix.SYNC_FILE_RANGE_WRITE)
}
