package faultlab

import (
	"context"
	"strings"
	"sync"
)

// stored are the jobs of a load, whose files are in the store.
func (f *fairness) stored(of load) []order {
	f.t.Helper()
	orders := make([]order, of.jobs)
	var all sync.WaitGroup
	numbers := make(chan int)
	for range 8 {
		all.Go(func() {
			for n := range numbers {
				orders[n] = f.order(of, n)
				if err := f.storeFiles(f.t.Context(), &orders[n]); err != nil {
					f.t.Error(err)
				}
			}
		})
	}
	for n := range orders {
		numbers <- n
	}
	close(numbers)
	all.Wait()
	return orders
}

// release publishes jobs as fast as it can.
func (f *fairness) release(orders []order) {
	f.t.Helper()
	for _, o := range orders {
		if err := f.send(f.t.Context(), o); err != nil {
			f.t.Error(err)
		}
	}
}

// accepted waits until Redox has n messages of a load that are no poison.
func (f *fairness) accepted(name string, n int) {
	f.t.Helper()
	waiting, enough := context.WithTimeout(f.t.Context(), patience)
	defer enough()
	have := 0
	err := f.redox.sim.Await(waiting, func() bool {
		have = 0
		for _, m := range f.redox.sim.Messages() {
			if strings.HasPrefix(m.DocumentID, name+"-") {
				have++
			}
		}
		return have >= n
	})
	if err != nil {
		f.t.Fatalf("%d of %d jobs of %s were accepted", have, n, name)
	}
}

// settle waits until nothing is left to do.
func (f *fairness) settle() {
	f.t.Helper()
	f.drainedBut(f.t.Context(), onlyOrphans)
}

func (f *fairness) finish() {
	f.settle()
	// What was sent too often without an answer is held, where that lasts.
	f.close(Rules{AllAccepted: !*long, Term: f.fleet.crew.grace + patience})
}
