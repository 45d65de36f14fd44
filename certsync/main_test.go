package certsync_test

import (
	"os"
	"testing"

	"github.com/rehost/rehost/internal/lab"
)

func TestMain(m *testing.M) {
	lab.Isolate()
	os.Exit(m.Run())
}
