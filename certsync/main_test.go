package certsync_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rehost/rehost/internal/lab"
)

func TestMain(m *testing.M) {
	lab.Isolate()
	if where := strings.Fields(os.Getenv("CERTSYNC_MILL")); len(where) == 4 {
		fmt.Fprintln(os.Stderr, mill{where[0], where[1], where[2], where[3]}.run())
		os.Exit(1)
	}
	os.Exit(m.Run())
}
