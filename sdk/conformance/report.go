package conformance

import (
	"fmt"
	"strings"

	"github.com/sandwarp/sandwarp/wasm"
)

// Report is the outcome of Check.
type Report struct {
	Description *wasm.Description `json:"description,omitempty"`
	Results     []Result          `json:"results"`
}

// Result is one rule's.
type Result struct {
	Rule    string `json:"rule"` // a short name
	Name    string `json:"name"` // what is wanted
	Passed  bool   `json:"passed"`
	Skipped bool   `json:"skipped,omitempty"` // not tried, as a rule it builds on is broken
	Detail  string `json:"detail,omitempty"`
}

// OK says whether no rule is broken.
func (r *Report) OK() bool { return len(r.Results) > 0 && len(r.Broken()) == 0 }

// Broken are the names of the rules that are.
func (r *Report) Broken() (list []string) {
	for _, c := range r.Results {
		if !c.Passed && !c.Skipped {
			list = append(list, c.Rule)
		}
	}
	return list
}

// String is the report for humans.
func (r *Report) String() string {
	var b strings.Builder
	if r.Description != nil {
		fmt.Fprintln(&b, r.Description)
	}
	skipped := 0
	for _, c := range r.Results {
		mark := "FAILED"
		switch {
		case c.Passed:
			mark = "ok    "
		case c.Skipped:
			mark = "-     "
			skipped++
		}
		fmt.Fprintf(&b, "%s %s", mark, c.Name)
		if c.Detail != "" {
			fmt.Fprintf(&b, ": %s", c.Detail)
		}
		fmt.Fprintln(&b)
	}
	fmt.Fprintf(&b, "%d rules, %d failed", len(r.Results), len(r.Broken()))
	if skipped > 0 {
		fmt.Fprintf(&b, ", %d not tried", skipped)
	}
	fmt.Fprintln(&b)
	return b.String()
}
