// Package faultlab is where Chartpost is harmed on purpose: its tests run real
// worker processes against real servers, kill, freeze and stop them by a
// schedule drawn from a seed, and then compare two sides that never met: what
// the laboratory published, and what the simulator of Redox, the streams and the
// processes' ends say.
//
// This package holds the laboratory's own books and the comparison. It imports
// nothing of the project, so that it cannot share the misunderstandings of what
// it judges; its tests hold the machinery and the scenarios.
//
// The short form of every scenario is part of `make test`; `make soak` runs the
// long one.
package faultlab
