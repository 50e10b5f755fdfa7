package backends

import (
	"os/exec"
	"syscall"
)

// dieWithParent tells the process when ours has ended, besides the closing of its standard input: not with SIGKILL, so
// that it can remove its data.
func dieWithParent(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }
