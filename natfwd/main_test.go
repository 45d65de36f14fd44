package natfwd

import (
	"fmt"
	"os"
	"testing"

	"github.com/rehost/rehost/internal/lab"
)

func TestMain(m *testing.M) {
	lab.Isolate()
	if mode := os.Getenv("NATFWD_APPLY"); mode != "" {
		fmt.Fprintln(os.Stderr, applyForEver(mode, os.Getenv("NATFWD_RUN")))
		os.Exit(1)
	}
	os.Exit(m.Run())
}
