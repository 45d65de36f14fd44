package lab

import (
	"os"
	"testing"
)

// NeedIsolation skips the test where [Isolate] could not isolate the process. Where
// the environment has REHOST_REAL=require the test fails instead.
func NeedIsolation(t testing.TB) {
	t.Helper()
	if _, err := os.Stat(isolated); err == nil {
		return
	}
	skip(t, "no namespaces of its own, as TestMain makes them with lab.Isolate on Linux: "+os.Getenv(refused))
}

// refused is in the environment, with the reason, where Isolate could not.
const refused = "REHOST_LAB_REFUSED"

// isolated is a file that is there only where Isolate has been.
const isolated = "/run/rehost-lab"
