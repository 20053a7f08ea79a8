package intake

import (
	"slices"
	"strings"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// All in a Grant stands for every destination, or for every file.
const All = "*"

// Grant is what a caller may do.
type Grant struct {
	// Caller names it in logs and quotas. It is no patient data: an operator chose it,
	// or an identity provider.
	Caller string
	// Destinations are addresses, or All.
	Destinations []string
	Classes      []schemas.Class
	// Files are the buckets, each with an optional key prefix, whose objects its jobs may
	// name; All is every one that workers may read.
	Files []string
	// Until is when what the caller has shown expires; zero is not known.
	Until time.Time
	// Folder is where its own uploads go, a bucket with a key prefix; empty where it may
	// upload nothing. Its jobs may name what is there.
	Folder string
}

// Allows reports whether the caller may submit to a lane, and see its jobs.
func (g Grant) Allows(lane schemas.Lane) bool {
	return g.Reaches(lane.Destination) && slices.Contains(g.Classes, lane.Class)
}

// Reaches reports whether the caller has anything to do with a destination.
func (g Grant) Reaches(destination string) bool {
	return destination != "" && (slices.Contains(g.Destinations, All) || slices.Contains(g.Destinations, destination))
}

// Everywhere reports whether the caller has all destinations.
func (g Grant) Everywhere() bool { return slices.Contains(g.Destinations, All) }

// MayName reports whether the caller's jobs may name a file.
func (g Grant) MayName(file schemas.File) bool {
	if slices.Contains(g.Files, All) {
		return true
	}
	places := g.Files
	if g.Folder != "" {
		places = append(slices.Clone(places), g.Folder)
	}
	return slices.ContainsFunc(places, func(place string) bool {
		bucket, prefix, _ := strings.Cut(place, "/")
		return bucket == file.Bucket && strings.HasPrefix(file.Key, prefix)
	})
}
