//go:build linux && (amd64 || arm64)

package localfs

import (
	"os"
	"syscall"
)

// syncFileRangeWrite is SYNC_FILE_RANGE_WRITE: begin to write dirty pages, wait for nothing.
const syncFileRangeWrite = 2

// startWriteback tells the disk to begin with a span of a file, so that the fsync at the end has little left to do. It
// promises nothing, so its error does not matter.
func startWriteback(f *os.File, offset, n int64) {
	_ = syscall.SyncFileRange(int(f.Fd()), offset, n, syncFileRangeWrite)
}
