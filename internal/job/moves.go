package job

import "fmt"

// none is the phase of a job that the ledger does not know.
const none Phase = ""

// move is a row of the table of phases: a job goes from one to another when
// something happens. docs/architecture.md shows the table as a diagram.
type move struct {
	from, to Phase
	when     string
}

// moves is the table. What is not in it does not happen to a job.
func moves() []move {
	return []move{
		{none, Working, "a worker takes it"},
		{none, Failed, "its dead letter has outlived the record"},
		{none, Held, "its dead letter has outlived the record"},
		{Working, Working, "given back, deferred, or taken again"},
		{Working, Sending, "the message is about to leave"},
		{Working, Waiting, "to be tried later"},
		{Working, Failed, "it can never succeed"},
		{Working, Held, "it ends, and an earlier message may have been taken"},
		{Working, Cancelled, "its run is cancelled"},
		{Sending, Working, "Redox did not take the message"},
		{Sending, Accepted, "Redox took the message"},
		{Sending, Waiting, "unknown outcome, to be sent again"},
		{Sending, Held, "unknown outcome, not sent again"},
		{Waiting, Working, "its schedule brings it back"},
		{Waiting, Failed, "the queue cannot take its schedule"},
		{Waiting, Held, "the queue cannot take its schedule, and a message may have been taken"},
		{Failed, Working, "published again"},
		{Cancelled, Working, "published again"},
		{Held, Working, "published again"},
		{Held, Accepted, "an operator found the message at Redox"},
	}
}

// move changes the phase. A move that is not in the table is a defect, and panics:
// the worker then leaves the job to come back, and nothing is sent.
func (r *Record) move(to Phase) {
	for _, m := range moves() {
		if m.from == r.Phase && m.to == to {
			r.Phase = to
			return
		}
	}
	panic(fmt.Sprintf("job: no move from phase %q to %q", r.Phase, to))
}
