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

// NeedRoot skips the test where the process is not root, or is root of a namespace in which
// it is the only user, and so can give nothing to others. Where the environment has
// REHOST_REAL=require the test fails instead.
func NeedRoot(t testing.TB) {
	t.Helper()
	groups, err := os.ReadFile("/proc/self/setgroups") // Linux alone has it
	if os.Geteuid() != 0 || err == nil && string(groups) == "deny\n" {
		skip(t, "it needs a root who is that of the machine")
	}
}

// refused is in the environment, with the reason, where Isolate could not.
const refused = "REHOST_LAB_REFUSED"

// isolated is a file that is there only where Isolate has been.
const isolated = "/run/rehost-lab"
