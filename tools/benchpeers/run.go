package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// engine is a program that measures.
type engine struct {
	name    string
	command []string
	ours    bool // speaks `sandwarp bench`, not llama-bench
}

// samples are the tokens a second of one engine in one test, a sample a round, and of
// ours the share of the machine's limit.
type samples struct {
	rate, share []float64
}

// results of one model: by test ("pp512", "tg64"), then by engine.
type results struct {
	model string
	tests []string
	of    map[string][]samples
}

// compare runs everything in turn. With an error it returns what there is so far.
func (c comparison) compare(ctx context.Context, models []string) ([]results, error) {
	all := make([]results, len(models))
	for i, path := range models {
		all[i] = c.empty(strings.TrimSuffix(filepath.Base(path), ".gguf"))
	}
	for round := range c.rounds {
		for i, path := range models {
			for k, e := range c.engines {
				fmt.Fprintf(os.Stderr, "round %d of %d: %s, %s\n", round+1, c.rounds, all[i].model, e.name)
				if err := c.once(ctx, e, path, all[i], k); err != nil {
					return all, fmt.Errorf("%s on %s: %w", e.name, path, err)
				}
			}
		}
	}
	return all, nil
}

func (c comparison) empty(model string) results {
	r := results{model: model, tests: []string{fmt.Sprintf("pp%d", c.prompt), fmt.Sprintf("tg%d", c.tokens)}, of: map[string][]samples{}}
	for _, t := range r.tests {
		r.of[t] = make([]samples, len(c.engines))
	}
	return r
}

// once runs engine k on one model, once, and files what it says.
func (c comparison) once(ctx context.Context, e engine, path string, into results, k int) error {
	out, err := c.output(ctx, e, path)
	if err != nil {
		return err
	}
	parse := parseLlamaBench
	if e.ours {
		parse = parseSandwarp
	}
	rows, err := parse(out)
	if err != nil {
		return err
	}
	for _, test := range into.tests {
		row, ok := rows[test]
		if !ok {
			return fmt.Errorf("its output has no %s", test)
		}
		s := &into.of[test][k]
		s.rate = append(s.rate, row.rate)
		s.share = append(s.share, row.share)
	}
	return nil
}

// output runs an engine's command to its end.
func (c comparison) output(ctx context.Context, e engine, path string) ([]byte, error) {
	args := []string{"-m", path, "-p", strconv.Itoa(c.prompt), "-n", strconv.Itoa(c.tokens), "-t", strconv.Itoa(c.threads), "-r", "1", "-o", "json"}
	if e.ours {
		args = append([]string{"bench"}, args...)
	}
	args = append(args, e.command[1:]...)
	cmd := exec.CommandContext(ctx, e.command[0], args...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, fmt.Errorf("%w: %s", err, lastLine(exit.Stderr))
	}
	return out, err
}

func lastLine(b []byte) []byte {
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return lines[len(lines)-1]
}

// row is one test's result.
type row struct{ rate, share float64 }

// parseSandwarp reads what `sandwarp bench -o json` prints. The share is of the int8
// peak for a prompt, of the read bandwidth for decoding.
func parseSandwarp(out []byte) (map[string]row, error) {
	var list []struct {
		Test        string
		Rate        float64 `json:"tokens_per_second"`
		ReadShare   float64 `json:"read_bandwidth_share"`
		IntPeakPart float64 `json:"vnni_share"`
	}
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, fmt.Errorf("unexpected output: %w", err)
	}
	rows := map[string]row{}
	for _, l := range list {
		r := row{l.Rate, l.IntPeakPart}
		if strings.HasPrefix(l.Test, "tg") {
			r.share = l.ReadShare
		}
		rows[l.Test] = r
	}
	return rows, nil
}

// parseLlamaBench reads what `llama-bench -o json` prints: an array, before and amid
// whose lines some versions write messages.
func parseLlamaBench(out []byte) (map[string]row, error) {
	var array []byte
	for line := range bytes.Lines(out) {
		starts := len(array) > 0 || line[0] == '['
		if word := 'A' <= line[0] && line[0] <= 'Z' || 'a' <= line[0] && line[0] <= 'z'; starts && !word {
			array = append(array, line...)
		}
	}
	var list []struct {
		Prompt int     `json:"n_prompt"`
		Tokens int     `json:"n_gen"`
		Rate   float64 `json:"avg_ts"`
	}
	if err := json.Unmarshal(array, &list); err != nil {
		return nil, fmt.Errorf("unexpected output: %w", err)
	}
	rows := map[string]row{}
	for _, l := range list {
		switch {
		case l.Tokens == 0:
			rows[fmt.Sprintf("pp%d", l.Prompt)] = row{rate: l.Rate}
		case l.Prompt == 0:
			rows[fmt.Sprintf("tg%d", l.Tokens)] = row{rate: l.Rate}
		}
	}
	return rows, nil
}
