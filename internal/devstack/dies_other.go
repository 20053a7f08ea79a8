//go:build !linux

package devstack

import "os/exec"

// DieWithParent does nothing here: only Linux ends a child with its parent.
func DieWithParent(*exec.Cmd) {}
