package devstack

import (
	"os/exec"
	"syscall"
)

// DieWithParent has the kernel kill a child, which does not watch its standard
// input, when the thread that started it ends. Go keeps its threads until the
// process ends, save those a goroutine locked and never unlocked. Elsewhere than
// on Linux it does nothing. Call it before the start.
func DieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
