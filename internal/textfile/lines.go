package textfile

import (
	"slices"
	"strings"
)

// Lines cuts text into its lines, each with its line end. The last has none if
// the text ends without one. Joined, they are the text again.
func Lines(data []byte) []string {
	lines := strings.SplitAfter(string(data), "\n")
	if last := len(lines) - 1; lines[last] == "" {
		lines = lines[:last]
	}
	return lines
}

// Join puts lines together again.
func Join(lines []string) []byte { return []byte(strings.Join(lines, "")) }

// Insert puts new lines before line i (from 0; len(lines) appends) and returns
// the result. It gives each its newline, and one to the line before where that
// has none: otherwise the two would become one.
func Insert(lines []string, i int, add ...string) []string {
	if i > 0 && len(add) > 0 && !strings.HasSuffix(lines[i-1], "\n") {
		lines[i-1] += "\n"
	}
	for k, text := range add {
		add[k] = text + "\n"
	}
	return slices.Insert(lines, i, add...)
}
