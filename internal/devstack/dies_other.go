//go:build !linux

package devstack

import "syscall"

// diesWithParent: only Linux can.
func diesWithParent() *syscall.SysProcAttr { return nil }
