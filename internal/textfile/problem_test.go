package textfile

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCommandError(t *testing.T) {
	silent := &CommandError{Args: []string{"rndc", "reload"}, Err: exec.ErrNotFound}
	assert.EqualError(t, silent, "rndc reload: executable file not found in $PATH")
	assert.ErrorIs(t, silent, exec.ErrNotFound)
	told := &CommandError{Args: []string{"rndc", "reload"}, Stderr: "rndc: connect failed\n", Err: exec.ErrNotFound}
	assert.EqualError(t, told, "rndc reload: rndc: connect failed")
}
