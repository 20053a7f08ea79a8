package main

import (
	"os"
	"testing"
	"time"
)

func TestStat(t *testing.T) {
	const stat = "4242 (a) S (b) R 1 4242 4242 0 -1 4194304 1200 0 3 0 150 27 99 99 20 0 9 0 100 200 300\n"
	if got, err := parseStat([]byte(stat)); err != nil || got != 1770*time.Millisecond {
		t.Errorf("%v, %v", got, err)
	}
	for _, wrong := range []string{"", "1 (a", "1 (a) S 1 2 3", "1 (a) S 1 2 3 4 5 6 7 8 9 10 eleven 12 13"} {
		if got, err := parseStat([]byte(wrong)); err == nil {
			t.Errorf("%q gives %v", wrong, got)
		}
	}
}

func TestStatus(t *testing.T) {
	const status = "Name:\tworker\nVmPeak:\t  900 kB\nVmHWM:\t   48 kB\nThreads:\t9\n"
	if got, err := parseStatus(status, "VmHWM:"); err != nil || got != 48<<10 {
		t.Errorf("%d, %v", got, err)
	}
	for _, name := range []string{"VmRSS:", "Threads:"} {
		if got, err := parseStatus(status, name); err == nil {
			t.Errorf("%s gives %d", name, got)
		}
	}
}

// TestThisProcess reads what Linux says of this test itself.
func TestThisProcess(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Log("there is no /proc here, and the bench does not run")
		return
	}
	if peak, err := peakOf(os.Getpid()); err != nil || peak < 1<<20 {
		t.Errorf("peak memory %d, %v", peak, err)
	}
	before, err := cpuOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for sum := 0; ; sum++ {
		now, err := cpuOf(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if now > before {
			return
		}
	}
}
