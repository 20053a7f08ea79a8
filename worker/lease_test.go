package worker

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestALeaseThatEndedStaysSo: another worker may have the job; no renewal that
// comes through later makes it this worker's again.
func TestALeaseThatEndedStaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLeases(quiet, 30*time.Second, nil)
		c := &copyInHand{extendFails: true}
		one := l.hold(c)
		for range 3 {
			time.Sleep(10 * time.Second)
			l.renew()
		}
		if !one.alive() {
			t.Fatal("it ended before its time")
		}
		time.Sleep(time.Nanosecond)
		if one.alive() {
			t.Fatal("it lives without a renewal")
		}
		c.extendFails = false
		asked := c.extended.Load()
		for range 5 {
			l.renew()
			one.extend(time.Now())
			time.Sleep(time.Second)
		}
		if one.alive() {
			t.Error("it revived")
		}
		if n := c.extended.Load(); n != asked {
			t.Errorf("the server was asked %d times to renew a lease that had ended", n-asked)
		}
	})
}

// TestALeaseIsRenewedUpToItsEnd, and from the renewal on.
func TestALeaseIsRenewedUpToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLeases(quiet, 30*time.Second, nil)
		one := l.hold(&copyInHand{})
		for range 10 {
			time.Sleep(30 * time.Second)
			l.renew()
		}
		time.Sleep(30 * time.Second)
		if !one.alive() {
			t.Error("it ended although it was renewed")
		}
	})
}
