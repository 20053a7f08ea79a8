package app

import (
	"os"
	"runtime/debug"
)

// softHeap is how much memory the Go runtime tries not to exceed: the jobs in hand are
// bounded to less, and what they leave is collected earlier when it comes near.
const softHeap = 88 << 20

// BoundHeap sets it for this process, unless the environment has a GOMEMLIMIT.
func BoundHeap() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(softHeap)
	}
}
