package acme_test

import (
	"flag"
	"os"
	"testing"

	"github.com/rehost/rehost/internal/lab"
)

func TestMain(m *testing.M) {
	lab.Isolate()
	// They do little but wait for lego, which polls after five seconds: as many as there are
	// processors would take minutes.
	flag.Parse()
	flag.Set("test.parallel", "32")
	os.Exit(m.Run())
}
