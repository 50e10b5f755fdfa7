//go:build !linux

package backends

import (
	"os/exec"
	"syscall"
)

// EndWithUs keeps Ctrl-C in a terminal from a child: our process ends what it started in an order of its own. A child
// is told of our end only on Linux; elsewhere the servers of this package notice that their standard input is closed.
func EndWithUs(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
