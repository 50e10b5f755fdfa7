package backends

import (
	"os/exec"
	"syscall"
)

// EndWithUs has a child told when our process ends, however it ends; not with SIGKILL, so that it can remove its data.
// Ctrl-C in a terminal does not reach the child: our process ends what it started in an order of its own.
func EndWithUs(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
}
