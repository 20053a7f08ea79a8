// Package web is the intake's door for programs that speak HTTP. docs/openapi.yaml
// describes it, and a test holds the two together.
//
// Whatever it answers holds nothing of a job but its id, its destination and JSON
// pointers. Errors are problem details (RFC 9457).
package web
