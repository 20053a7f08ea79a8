package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// hold makes a folder this process's own until release, or until it ends in
// whatever way: two worlds over one folder would write each other's streams and
// settings.
func hold(dir string) (release func() error, err error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = fmt.Errorf("another one runs over %s: use it, end it with Ctrl-C, or give this one a folder of its own, like make dev ARGS=\"--dir /tmp/world\"", dir)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file.Close, nil
}
