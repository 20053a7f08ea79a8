package main

import (
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// row is one kind of work to measure.
type row struct {
	Name string `json:"name"`
	// Size of each file, in bytes.
	Size     int              `json:"size"`
	Slots    int              `json:"slots"`
	Transfer schemas.Transfer `json:"transfer"`
	TLS      bool             `json:"tls,omitempty"`
	// Synced is that nats-server syncs every message before it confirms it.
	Synced bool `json:"synced,omitempty"`
	// Delay is what the receiver waits before each answer.
	Delay time.Duration `json:"delay,omitempty"`
	// Jobs are measured, after Warm others.
	Jobs int `json:"jobs"`
	Warm int `json:"warm"`
}

// Sizes are decimal; the largest is the worker's default --file-limit.
const (
	kB = 1000
	mB = 1000 * kB
)

var table = []row{
	{Name: "50kB-16", Size: 50 * kB, Slots: 16, Transfer: schemas.Upload, Jobs: 10_000, Warm: 1000},
	{Name: "50kB-embed-16", Size: 50 * kB, Slots: 16, Transfer: schemas.Embed, Jobs: 10_000, Warm: 1000},
	{Name: "50kB-synced-16", Size: 50 * kB, Slots: 16, Transfer: schemas.Upload, Synced: true, Jobs: 5000, Warm: 1000},
	{Name: "10MB-16", Size: 10 * mB, Slots: 16, Transfer: schemas.Upload, Jobs: 700, Warm: 50},
	{Name: "30MB-16", Size: 30 * mB, Slots: 16, Transfer: schemas.Upload, Jobs: 300, Warm: 40},
	{Name: "30MB-64", Size: 30 * mB, Slots: 64, Transfer: schemas.Upload, Jobs: 300, Warm: 100},
	{Name: "30MB-tls-16", Size: 30 * mB, Slots: 16, Transfer: schemas.Upload, TLS: true, Jobs: 200, Warm: 40},
	{Name: "50kB-50ms-16", Size: 50 * kB, Slots: 16, Transfer: schemas.Upload, Delay: 50 * time.Millisecond, Jobs: 1000, Warm: 200},
	{Name: "50kB-50ms-64", Size: 50 * kB, Slots: 64, Transfer: schemas.Upload, Delay: 50 * time.Millisecond, Jobs: 4000, Warm: 500},
}

// lanes is how many lanes the jobs of a row are in. The worker may have all its
// slots in any one of them.
const lanes = 8

// load has as many jobs in the queue from the start as are measured, those that
// come first to warm up, and some behind them, so that no slot is without work
// before the last measured job has ended.
func (r row) load() load {
	return load{row: r, lanes: lanes, workers: 1, queued: r.Warm + r.Jobs + 4*r.Slots}
}
