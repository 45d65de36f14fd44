// Package lab starts the real programs that tests try the packages on: on
// loopback or in network namespaces of their own, in a private folder, ended and
// cleaned away with the test.
package lab

import (
	"os"
	"os/exec"
	"testing"
)

// Need skips the test if one of the programs is not installed, and names it.
// Where the environment has REHOST_REAL=require the test fails instead: a
// skipped test is none.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	for _, program := range programs {
		_, err := exec.LookPath(program)
		if err != nil {
			skip(t, err.Error())
		}
	}
}

// skip skips the test, or fails it where the environment has REHOST_REAL=require.
func skip(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("REHOST_REAL") == "require" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}
