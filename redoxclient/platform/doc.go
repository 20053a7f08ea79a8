// Package platform reads Redox's Platform API: what became of a message, as
// Redox's logs tell it. It changes nothing at Redox.
//
// It was written from public documentation and never tried against the live
// service, whose documents leave open how the answer to a search is laid out, where
// its next cursor stands, and which words a status can be. So answers are read
// leniently, an unknown word is kept, and whatever cannot be read is an error: an
// error of a search never looks like a search that found nothing.
//
// The API has a key of its own, at the level of a user (Redox docs, "Authenticate a
// user-level API key"): make a redoxclient.TokenSource of it. Requests count in the
// same window as those of deliveries (Redox docs, "Quotas and constraints").
package platform
