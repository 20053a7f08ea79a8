// Package intake takes jobs from programs that have no right on the queue. It
// checks a job as a worker does, stores it, and only then says so. It knows neither
// HTTP nor NATS: both are doors to the same Service.
//
// # One job, one copy
//
// A job is known by its destination and its id. The ledger knows a job from the moment
// a worker has taken it. Before that, a claim does: a small record, made by
// compare-and-set, of which there is one per job. It holds the digest of the content
// and a random token, which is the message's id in the queue.
//
//  1. The ledger is asked. What it knows is known, or in conflict.
//  2. The claim is made. Who finds one there does not publish.
//  3. The job is published, once per token, within ten seconds of the claim.
//
// A process that ends between 2 and 3 leaves a claim without a job, and one whose
// publish got no answer does not know. So whoever finds a claim of the same content
// looks for its token in the lane, and then for the job in the ledger: a worker writes
// the record before it removes the copy. Where neither has it and the claim is older
// than half a minute, its publisher can publish no more, and the claim is taken over.
//
// Nothing is remembered in the process: any number of them may serve side by side.
package intake
