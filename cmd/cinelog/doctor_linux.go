package main

import (
	"fmt"
	"syscall"
)

// fileSystem returns the bytes that are free for us, and the name of the file system where it is one that SQLite
// cannot work on.
func fileSystem(dir string) (unfit string, free uint64, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return "", 0, fmt.Errorf("look at the file system of %s: %w", dir, err)
	}
	free = s.Bavail * uint64(s.Bsize) //nolint:gosec // a block size is not negative
	// The numbers of statfs(2).
	switch uint32(s.Type) { //nolint:gosec // they are 32 bits wide
	case 0x6969:
		return "NFS", free, nil
	case 0xff534d42, 0xfe534d42, 0x517b:
		return "SMB", free, nil
	}
	return "", free, nil
}

func openFiles() (limit uint64, ok bool) {
	var l syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l)
	return l.Cur, err == nil
}
