package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/versity/versitygw/auth"
	"golang.org/x/sys/unix"
)

// folders are siblings of which no path is a prefix of another: the server
// takes a versions folder that begins like its root for one inside it.
type folders struct {
	objects, versions, accounts string
}

func prepare(o options) (folders, error) {
	if o.Dir == "" {
		return folders{}, errors.New("no folder for the objects")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return folders{}, err
	}
	f := folders{objects: filepath.Join(dir, "objects"), accounts: filepath.Join(dir, "accounts")}
	made := []string{f.objects, f.accounts}
	if o.Versioning {
		f.versions = filepath.Join(dir, "versions")
		made = append(made, f.versions)
	}
	for _, path := range made {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return folders{}, err
		}
	}
	return f, keepsAttributes(dir)
}

// keepsAttributes tries whether the folder's file system has extended
// attributes, where the server keeps ETags, content types and versions.
func keepsAttributes(dir string) error {
	file, err := os.CreateTemp(dir, ".attributes-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if err := unix.Fsetxattr(int(file.Fd()), "user.chartpost", []byte("1"), 0); err != nil {
		return fmt.Errorf("the file system of %s keeps no extended attributes, which the S3 server needs; choose a folder on ext4, xfs or btrfs: %w", dir, err)
	}
	return nil
}

func accountsOf(o options, dirs folders) (auth.IAMService, error) {
	owner := auth.Account{Access: o.AccessKey, Secret: o.SecretKey, Role: auth.RoleAdmin}
	if len(o.Users) == 0 {
		return auth.NewIAMServiceSingle(owner), nil
	}
	accounts, err := auth.NewInternal(owner, dirs.accounts)
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	for _, user := range o.Users {
		err := accounts.CreateAccount(auth.Account{Access: user.AccessKey, Secret: user.SecretKey, Role: auth.RoleUser})
		if err != nil && !errors.Is(err, auth.ErrUserExists) {
			return nil, fmt.Errorf("accounts: %w", err)
		}
	}
	return accounts, nil
}
