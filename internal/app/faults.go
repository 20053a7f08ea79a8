package app

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// faults collects every fault of a configuration, so that a person mends them
// in one go.
type faults []error

func (f *faults) add(flag, format string, args ...any) {
	*f = append(*f, fmt.Errorf("--%s (%s): %s", flag, EnvironmentName(flag), fmt.Sprintf(format, args...)))
}

func (f *faults) errors(err error) {
	if err != nil {
		*f = append(*f, err)
	}
}

func (f *faults) join() error { return errors.Join(*f...) }

// EnvironmentName is the environment variable of a flag.
func EnvironmentName(flag string) string {
	return "CHARTPOST_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// files reports a file that was named and cannot be read.
func (f *faults) files(flag, path string) {
	if path == "" {
		return
	}
	file, err := os.Open(path)
	if err != nil && isContent(path) {
		f.add(flag, "must be the path of a file, and looks like what is in one; it is not shown here")
		return
	}
	if err != nil {
		f.add(flag, "%s: %v", path, reason(err))
		return
	}
	defer file.Close()
	if about, err := file.Stat(); err == nil && about.IsDir() {
		f.add(flag, "%s is a folder and must be a file", path)
	}
}

// Exposed tells of a key file that every user of the machine may open. It is no
// fault of the settings, since there are volumes that know no modes.
func (r Redox) Exposed() error {
	about, err := os.Stat(r.KeyFile)
	if err != nil || about.Mode()&0o007 == 0 {
		return nil
	}
	var f faults
	f.add("redox-key-file", "its mode %04o lets every user of this machine at the private key: `chmod o=` takes that away, in a Kubernetes secret's volume `defaultMode: 0440`", about.Mode().Perm())
	return f.join()
}

// isContent tells whether a path that leads nowhere is rather a secret that was
// given in place of the file's name: PEM, credentials, a JWK, an NKey seed. A
// seed is 'S' and 57 characters of base32; the command line makes a path of it.
func isContent(path string) bool {
	return strings.ContainsAny(path, "\n\r{\"") || strings.Contains(path, "-----") || nkeySeed.MatchString(filepath.Base(path))
}

var nkeySeed = regexp.MustCompile(`^S[A-Z2-7]{50,}$`)

// reason is what the system says of a file, without its path.
func reason(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// urls reports what is no URL, and a plain http URL of another machine: what
// goes to it is patient data or opens the door to it.
func (f *faults) urls(flag, text string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		f.add(flag, "must be a URL like https://host.example.org")
	case u.User != nil:
		f.add(flag, "must hold no user and no password")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		f.add(flag, "must be https: plain http is for this machine alone")
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
