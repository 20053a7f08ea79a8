package s3source

import (
	"fmt"
	"slices"
	"strings"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

// place is a bucket, or the part of it whose keys begin with prefix.
type place struct{ bucket, prefix string }

func parsePlaces(entries []string) ([]place, error) {
	places := make([]place, 0, len(entries))
	for i, entry := range entries {
		bucket, prefix, _ := strings.Cut(entry, "/")
		if !bucketName(bucket) {
			return nil, fmt.Errorf("s3: entry %d of the allowed buckets names no bucket", i+1)
		}
		places = append(places, place{bucket, prefix})
	}
	return places, nil
}

// Admit refuses a file that no request can name, or that is in none of the allowed buckets
// (Config.Allowed). It asks no server.
func Admit(allowed []string, file schemas.File) error {
	places, err := parsePlaces(allowed)
	if err != nil {
		return err
	}
	if f := (&Source{allowed: places}).admit(file); f != nil {
		return f
	}
	return nil
}

// admit refuses a file that no request can name, or that jobs may not name.
func (s *Source) admit(file schemas.File) *fault.Fault {
	switch {
	case !bucketName(file.Bucket):
		return bucketMissing.fault(nil)
	case file.Key == "" || len(file.Key) > maxKey:
		return fileMissing.fault(nil)
	case climbs(file.Key), strings.ContainsRune(file.Key, 0):
		// S3 takes ".." as it stands, but a store over a file system, or a
		// proxy before it, may climb out of the bucket or prefix; and no store
		// over a file system has a name with a zero byte.
		return keyInvalid.fault(nil)
	case len(s.allowed) == 0:
		return nil
	case !slices.ContainsFunc(s.allowed, func(p place) bool {
		return p.bucket == file.Bucket && strings.HasPrefix(file.Key, p.prefix)
	}):
		return notAllowed.fault(nil)
	}
	return nil
}

// maxKey is S3's limit of a key in bytes of UTF-8.
const maxKey = 1024

func climbs(key string) bool {
	return slices.ContainsFunc(strings.Split(key, "/"), func(part string) bool { return part == "." || part == ".." })
}

// bucketName takes all names that S3 ever allowed. It takes no ARN: one can
// name a bucket of any region and account, past the endpoint.
func bucketName(name string) bool {
	if len(name) < 3 || len(name) > 255 {
		return false
	}
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_':
		default:
			return false
		}
	}
	return !strings.Contains(name, "..") && name[0] != '.'
}
