package main

import (
	"math"
	"testing"
)

func TestFiguresOfManyRuns(t *testing.T) {
	for _, c := range []struct {
		values              []float64
		median, spread, p99 float64
	}{
		{[]float64{3}, 3, 0, 3},
		{[]float64{5, 1, 3}, 3, 4.0 / 3, 5},
		{[]float64{4, 1, 3, 2}, 2.5, 1.2, 4},
	} {
		if got := median(c.values); got != c.median {
			t.Errorf("median of %v is %g", c.values, got)
		}
		if got := spread(c.values); math.Abs(got-c.spread) > 1e-9 {
			t.Errorf("spread of %v is %g", c.values, got)
		}
		if got := percentile(c.values, 0.99); got != c.p99 {
			t.Errorf("p99 of %v is %g", c.values, got)
		}
	}
	for name, got := range map[string]float64{"median": median(nil), "spread": spread(nil), "percentile": percentile(nil, 0.5)} {
		if !math.IsNaN(got) {
			t.Errorf("%s of nothing is %g", name, got)
		}
	}
}

func TestPercentiles(t *testing.T) {
	var hundred []float64
	for n := 100; n > 0; n-- {
		hundred = append(hundred, float64(n))
	}
	for p, want := range map[float64]float64{0: 1, 0.001: 1, 0.5: 50, 0.99: 99, 0.991: 100, 1: 100} {
		if got := percentile(hundred, p); got != want {
			t.Errorf("percentile %g of 1..100 is %g, want %g", p, got, want)
		}
	}
	if hundred[0] != 100 {
		t.Error("the values were put into another order")
	}
}
