// Package redoxsim simulates Redox for tests and demonstrations. See the end
// of this comment for what it does not know.
package redoxsim
