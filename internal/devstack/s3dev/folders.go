package s3dev

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

func prepare(options Options) (folders, error) {
	if options.Dir == "" {
		return folders{}, errors.New("s3dev: no folder for the objects")
	}
	dir, err := filepath.Abs(options.Dir)
	if err != nil {
		return folders{}, err
	}
	f := folders{objects: filepath.Join(dir, "objects"), accounts: filepath.Join(dir, "accounts")}
	made := []string{f.objects, f.accounts}
	if options.Versioning {
		f.versions = filepath.Join(dir, "versions")
		made = append(made, f.versions)
	}
	for _, path := range made {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return folders{}, fmt.Errorf("s3dev: %w", err)
		}
	}
	return f, keepsAttributes(dir)
}

// keepsAttributes tries whether the folder's file system has extended
// attributes, where the server keeps ETags, content types and versions.
func keepsAttributes(dir string) error {
	file, err := os.CreateTemp(dir, ".attributes-")
	if err != nil {
		return fmt.Errorf("s3dev: %w", err)
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if err := unix.Fsetxattr(int(file.Fd()), "user.chartpost", []byte("1"), 0); err != nil {
		return fmt.Errorf("s3dev: the file system of %s keeps no extended attributes, which the S3 server needs; choose a folder on ext4, xfs or btrfs: %w", dir, err)
	}
	return nil
}

func accountsOf(options Options, dirs folders) (auth.IAMService, error) {
	owner := auth.Account{Access: options.AccessKey, Secret: options.SecretKey, Role: auth.RoleAdmin}
	if len(options.Users) == 0 {
		return auth.NewIAMServiceSingle(owner), nil
	}
	accounts, err := auth.NewInternal(owner, dirs.accounts)
	if err != nil {
		return nil, fmt.Errorf("s3dev: accounts: %w", err)
	}
	for _, user := range options.Users {
		err := accounts.CreateAccount(auth.Account{Access: user.AccessKey, Secret: user.SecretKey, Role: auth.RoleUser})
		if err != nil && !errors.Is(err, auth.ErrUserExists) {
			return nil, fmt.Errorf("s3dev: accounts: %w", err)
		}
	}
	return accounts, nil
}
