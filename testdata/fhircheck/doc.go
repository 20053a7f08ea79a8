// Package fhircheck has the FHIR messages of testdata/golden read by an
// implementation of FHIR R4 that is not ours: github.com/google/fhir/go. It
// holds tests alone, in a module of its own, so that the main module does not
// depend on what they need.
//
// What that implementation looks at: names of members, resource types, JSON
// types, formats and ranges of primitives, codes of required bindings, required
// members, the types that literal references may point at. What it does not:
// invariants (FHIRPath), profiles, terminology servers, and whether a reference
// to a urn:uuid leads to an entry; the tests of package compose do that last
// one.
package fhircheck
