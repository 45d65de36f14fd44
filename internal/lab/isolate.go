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
	if os.Getenv("REHOST_REAL") == "require" {
		t.Fatal("no namespaces of its own: TestMain must call lab.Isolate, as root on Linux")
	}
	t.Skip("no namespaces of its own")
}

// isolated is a file that is there only where Isolate has been.
const isolated = "/run/rehost-lab"
