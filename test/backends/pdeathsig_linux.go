package backends

import (
	"os/exec"
	"syscall"
)

// dieWithParent ends the process with ours even where it no longer looks at its standard input.
func dieWithParent(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
