package devtest

import (
	"flag"
	"strconv"
)

// Parallel lets n tests of this binary run at once, unless -parallel says another
// number. It is for tests that wait more than they work, each in a world of its own;
// call it in TestMain.
func Parallel(n int) error {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if given {
		return nil
	}
	return flag.Set("test.parallel", strconv.Itoa(n))
}
