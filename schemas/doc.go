// Package schemas is the public contract of Chartpost: the JSON of jobs and
// events and of the audit of operators, the subjects they travel on, the traces
// they carry, and the Go values of all three.
//
// The JSON Schema files (job.v1, event.v1 and audit.v1.schema.json) are the
// contract; the Go values follow them, and a test holds the two together. Those
// of a backfill's manifest, template and report are here as texts only.
// Nothing in this package reads a clock, a network or a file.
//
// No error of this package quotes a value or a key of its input, since any of
// them may hold patient data.
package schemas
