package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// A result is what the runs of one program took.
type result struct {
	section, name string
	seconds       []float64
	memory        int // KiB, the most of all runs
}

func (r *result) median() float64 {
	s := slices.Sorted(slices.Values(r.seconds))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// table reads lines of tab-separated fields:
//
//	result SECTION NAME SECONDS KIB
//	base SECTION NAME                                  what the section's ratios are to
//	ratio TEXT SECTION NAME SECTION NAME [<=|>=] MUST   of the medians
//	memory TEXT NAME [<=|>=] MUST                      the most MiB of those whose name begins so
//
// A target whose programs did not run is left out.
func table(r io.Reader, w io.Writer) error {
	var results []*result
	find := func(section, name string) *result {
		for _, r := range results {
			if r.section == section && r.name == name {
				return r
			}
		}
		return nil
	}
	bases := map[string]string{}
	var targets [][]string
	for lines := bufio.NewScanner(r); lines.Scan(); {
		f := strings.Split(lines.Text(), "\t")
		switch {
		case f[0] == "result" && len(f) == 5:
			r := find(f[1], f[2])
			if r == nil {
				r = &result{section: f[1], name: f[2]}
				results = append(results, r)
			}
			seconds, err := strconv.ParseFloat(f[3], 64)
			if err != nil {
				return err
			}
			memory, err := strconv.Atoi(f[4])
			if err != nil {
				return err
			}
			r.seconds = append(r.seconds, seconds)
			r.memory = max(r.memory, memory)
		case f[0] == "base" && len(f) == 3:
			bases[f[1]] = f[2]
		case f[0] == "ratio" && len(f) == 8, f[0] == "memory" && len(f) == 5:
			targets = append(targets, f)
		default:
			return fmt.Errorf("%q is no line of a table", lines.Text())
		}
	}

	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	printed := map[string]bool{}
	for _, first := range results {
		section := first.section
		if printed[section] {
			continue
		}
		printed[section] = true
		base := find(section, bases[section])
		title := ""
		if base != nil {
			title = "× " + base.name
		}
		fmt.Fprintf(tw, "\t\t\t\t\n%s\tseconds\t%s\tMiB of memory\t\n", section, title)
		for _, r := range results {
			if r.section != section {
				continue
			}
			ratio := ""
			if base != nil {
				ratio = fmt.Sprintf("%.2f", r.median()/base.median())
			}
			fmt.Fprintf(tw, "%s\t%.2f\t%s\t%d\t\n", r.name, r.median(), ratio, r.memory>>10)
		}
	}
	fmt.Fprintf(tw, "\t\t\t\t\ntarget\tvalue\tmust\t\t\n")
	for _, f := range targets {
		var value float64
		if f[0] == "ratio" {
			a, b := find(f[2], f[3]), find(f[4], f[5])
			if a == nil || b == nil {
				continue
			}
			value = a.median() / b.median()
		} else {
			for _, r := range results {
				if strings.HasPrefix(r.name, f[2]) || r.section == "far end" {
					value = max(value, float64(r.memory)/1024)
				}
			}
		}
		sign, text := f[len(f)-2], f[len(f)-1]
		must, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return err
		}
		verdict := "missed"
		if sign == "<=" && value <= must || sign == ">=" && value >= must {
			verdict = "met"
		}
		fmt.Fprintf(tw, "%s\t%.2f\t%s %s\t%s\t\n", f[1], value, sign, text, verdict)
	}
	return tw.Flush()
}
