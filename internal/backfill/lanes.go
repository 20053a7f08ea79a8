package backfill

// Lanes is where the jobs of a run's lines go: two bytes a line. A feeder uses it
// to keep no lane waiting for another.
type Lanes struct {
	index map[string]uint16
	// of is the lane of a line by its number, from 1; 0 is none: the line is
	// not the run's, or is no job.
	of []uint16
	// open are the jobs of a lane in flight or about to be published; unfed those
	// that are not.
	open, unfed []int64
	// claimed are the lines about to be published: open, but Unfed in the book.
	claimed map[int64]bool
	perLane int64
	// all is the sum of open.
	all int64
}

// mostLanes is more than there are destinations in a manifest.
const mostLanes = 1<<16 - 1

func newLanes() *Lanes {
	return &Lanes{index: map[string]uint16{}, claimed: map[int64]bool{}, open: make([]int64, 1), unfed: make([]int64, 1)}
}

// add notes the lane of a line. Destinations beyond the most share a lane.
func (l *Lanes) add(line int64, destination string) {
	lane, ok := l.index[destination]
	if !ok && len(l.open) > mostLanes {
		lane, ok = mostLanes, true
	}
	if !ok {
		lane = uint16(len(l.open))
		l.index[destination] = lane
		l.open, l.unfed = append(l.open, 0), append(l.unfed, 0)
	}
	for int64(len(l.of)) <= line {
		l.of = append(l.of, 0)
	}
	l.of[line] = lane
}

// lane is 0 where the line has none.
func (l *Lanes) lane(line int64) uint16 {
	if line >= int64(len(l.of)) {
		return 0
	}
	return l.of[line]
}

// count begins with what a book says.
func (l *Lanes) count(lines []LineState) {
	clear(l.open)
	clear(l.unfed)
	l.all = 0
	for line := range l.of {
		lane := l.of[line]
		if lane == 0 || line >= len(lines) {
			continue
		}
		switch lines[line] {
		case Fed:
			l.open[lane]++
			l.all++
		case Unfed:
			l.unfed[lane]++
		default: // has ended
		}
	}
}

// moved follows a line.
func (l *Lanes) moved(line int64, was, next LineState) {
	lane := l.lane(line)
	if lane == 0 {
		return
	}
	open := was == Fed || l.claimed[line]
	delete(l.claimed, line)
	switch {
	case !was.Ended() && !open:
		l.unfed[lane]--
		if next == Fed {
			l.shift(lane, 1)
		}
	case open && next.Ended():
		l.shift(lane, -1)
	}
}

func (l *Lanes) shift(lane uint16, n int64) {
	l.open[lane] += n
	l.all += n
}

// choice is what to do with a line.
type choice int

const (
	// skip: it is not to be published.
	skip choice = iota
	// take: it is claimed.
	take
	// later: its lane is full, and another has room: read on.
	later
	// wait: nothing can be published now.
	wait
)

// choose decides about an unfed line.
func (l *Lanes) choose(line, most int64) choice {
	lane := l.lane(line)
	switch {
	case lane == 0:
		return skip
	case l.all >= most:
		return wait
	case l.open[lane] < l.perLane:
		l.shift(lane, 1)
		l.unfed[lane]--
		l.claimed[line] = true
		return take
	case l.roomElsewhere():
		return later
	}
	return wait
}

// roomElsewhere tells whether it is worth reading on: a lane with lines to
// publish is at most half full.
func (l *Lanes) roomElsewhere() bool {
	for lane := range l.open {
		if l.unfed[lane] > 0 && l.open[lane] <= l.perLane/2 {
			return true
		}
	}
	return false
}

// release undoes a take.
func (l *Lanes) release(line int64) {
	if !l.claimed[line] {
		return
	}
	delete(l.claimed, line)
	lane := l.lane(line)
	l.shift(lane, -1)
	l.unfed[lane]++
}

// drop undoes a take for good: the line will not be published.
func (l *Lanes) drop(line int64) {
	if !l.claimed[line] {
		return
	}
	l.release(line)
	l.unfed[l.lane(line)]--
	l.of[line] = 0
}
