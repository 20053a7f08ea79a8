// Package outcome follows accepted messages in Redox's logs, and tells what became
// of them: delivered, filtered, undelivered, stalled or unconfirmed.
//
// One [Follower] of a deployment works at a time. It reads the stream of events, keeps
// what it waits for in a bucket of its own, and searches the logs through
// redoxclient/platform. What is pure stands apart from that: [Job] says what a log
// means for a message, [Window] counts where a message has no log id, [Plan] says what
// is searched next.
//
// The stream of events is what decides whether an outcome was told. The follower reads
// it to its end before it tells anything, and forgets a job only when it has read its
// event back. So a follower that is killed at any moment tells nothing twice.
//
// An error of a search is never read as "nothing found". docs/outcomes.md lists what is
// assumed of Redox, and how sure each assumption is.
package outcome
