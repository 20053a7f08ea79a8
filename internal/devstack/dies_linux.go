package devstack

import "syscall"

// diesWithParent has the kernel kill a child, which does not watch its standard
// input, when the thread that started it ends. Go keeps its threads until the
// process ends, save those a goroutine locked and never unlocked.
func diesWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
