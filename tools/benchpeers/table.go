package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// writeTable prints a Markdown table, a line a model and test.
func writeTable(w io.Writer, all []results, engines []engine) error {
	var b strings.Builder
	b.WriteString("| model | test |")
	for _, e := range engines {
		b.WriteString(" " + e.name + " tok/s |")
	}
	b.WriteString(" ratio |")
	b.WriteString(" share of limit |\n" + strings.Repeat("|---", 4+len(engines)) + "|\n")
	for _, r := range all {
		for _, test := range r.tests {
			b.WriteString(line(r.model, test, r.of[test]))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// line is one line of the table; engine 0 is ours.
func line(model, test string, of []samples) string {
	cells := []string{model, test}
	var ratios []string
	for k, s := range of {
		cells = append(cells, spread(s.rate, 0))
		if k > 0 {
			ratios = append(ratios, spread(pairwise(of[0].rate, s.rate), 2))
		}
	}
	limit := "int8 peak"
	if strings.HasPrefix(test, "tg") {
		limit = "read bandwidth"
	}
	share := "-"
	if m := median(of[0].share); m > 0 {
		share = fmt.Sprintf("%.0f%% of %s", 100*m, limit)
	}
	cells = append(cells, strings.Join(ratios, ", "), share)
	return "| " + strings.Join(cells, " | ") + " |\n"
}

// pairwise are the ratios of the rounds that both engines did.
func pairwise(a, b []float64) []float64 {
	r := make([]float64, min(len(a), len(b)))
	for i := range r {
		r[i] = a[i] / b[i]
	}
	return r
}

// spread is "median (min-max)".
func spread(v []float64, digits int) string {
	if len(v) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.*f (%.*f-%.*f)", digits, median(v), digits, slices.Min(v), digits, slices.Max(v))
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return (s[len(s)/2] + s[(len(s)-1)/2]) / 2
}
