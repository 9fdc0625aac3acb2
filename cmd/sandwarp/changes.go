package main

import (
	"fmt"
	"io"

	sandwarp "github.com/sandwarp/sandwarp/runtime"
)

// jsonChange is what one processor or filter did about a token or its text.
type jsonChange struct {
	By       string              `json:"by"`
	Kind     sandwarp.ChangeKind `json:"kind"`
	Start    *int                `json:"start,omitempty"` // of text: its bytes
	End      *int                `json:"end,omitempty"`
	Original *int                `json:"original_bytes,omitempty"`
}

// changesJSON leaves out that text was held back: it is not there, as can be seen.
func changesJSON(changes []sandwarp.Change) (list []jsonChange) {
	for _, c := range changes {
		j := jsonChange{By: c.By, Kind: c.Kind}
		switch c.Kind {
		case sandwarp.ChangeHeld:
			continue
		case sandwarp.ChangeReplaced, sandwarp.ChangeStopped:
			j.Start, j.End, j.Original = &c.Start, &c.End, &c.Original
		}
		list = append(list, j)
	}
	return list
}

// jsonCount is how often one of them did one thing.
type jsonCount struct {
	By     string              `json:"by"`
	Kind   sandwarp.ChangeKind `json:"kind"`
	Prompt bool                `json:"prompt,omitempty"`
	Count  int                 `json:"count"`
}

func countsJSON(counts []sandwarp.ChangeCount) (list []jsonCount) {
	for _, c := range counts {
		if c.Kind != sandwarp.ChangeHeld {
			list = append(list, jsonCount{c.By, c.Kind, c.Prompt, c.N})
		}
	}
	return list
}

// reportChanges says who did what, a line each.
func reportChanges(w io.Writer, counts []sandwarp.ChangeCount) {
	for _, c := range counts {
		text := "answer"
		if c.Prompt {
			text = "prompt"
		}
		switch c.Kind {
		case sandwarp.ChangePicked:
			fmt.Fprintf(w, "%s picked %d tokens\n", c.By, c.N)
		case sandwarp.ChangeEdited:
			fmt.Fprintf(w, "%s edited the choice of %d tokens\n", c.By, c.N)
		case sandwarp.ChangeExcluded:
			fmt.Fprintf(w, "%s narrowed the choice of %d tokens\n", c.By, c.N)
		case sandwarp.ChangeReplaced:
			fmt.Fprintf(w, "%s replaced %d spans of the %s\n", c.By, c.N, text)
		case sandwarp.ChangeStopped:
			fmt.Fprintf(w, "%s stopped the %s\n", c.By, text)
		}
	}
}
