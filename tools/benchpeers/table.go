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
	b.WriteString("| model | test | sandwarp tok/s | share of limit |")
	for _, e := range engines[1:] {
		b.WriteString(" " + e.name + " tok/s | ratio |")
	}
	b.WriteString("\n" + strings.Repeat("|---", 2+2*len(engines)) + "|\n")
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
	limit := "int8 peak"
	if strings.HasPrefix(test, "tg") {
		limit = "read bandwidth"
	}
	share := "-"
	if m := median(of[0].share); m > 0 {
		share = fmt.Sprintf("%.0f%% of %s", 100*m, limit)
	}
	cells := []string{model, test, spread(of[0].rate, 0), share}
	for _, s := range of[1:] {
		cells = append(cells, spread(s.rate, 0), spread(pairwise(of[0].rate, s.rate), 2))
	}
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
