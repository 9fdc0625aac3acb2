// Command benchpeers runs sandwarp and other engines on the same models in turn, so
// that whatever else the machine does meets all of them, and prints how they compare:
// medians with the lowest and the highest of all rounds, and the median of the ratios
// of each round.
//
//	go run ./tools/benchpeers -sandwarp bin/sandwarp \
//	    -peer 'llama.cpp=/opt/llama.cpp/llama-bench' \
//	    -peer 'ik_llama.cpp repacked=/opt/ik/llama-bench -rtr 1' a.gguf b.gguf
//
// A peer is a program with the flags and the JSON of llama-bench.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
)

func main() {
	c, models, err := commandLine(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchpeers:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	all, err := c.compare(ctx, models)
	if len(all) > 0 { // what was measured before an error counts as well
		err = errors.Join(err, writeTable(os.Stdout, all, c.engines))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchpeers:", err)
		os.Exit(1)
	}
}

// comparison is what to run, and how often.
type comparison struct {
	engines        []engine // ours first
	prompt, tokens int
	threads        int
	rounds         int
}

func commandLine(args []string) (c comparison, models []string, err error) {
	fl := flag.NewFlagSet("benchpeers", flag.ContinueOnError)
	ours := fl.String("sandwarp", "sandwarp", "the sandwarp `command`, with further flags of its bench if need be")
	fl.Func("peer", "another engine, `name=command`, the command with further flags if need be; repeatable", func(s string) error {
		e, err := parsePeer(s)
		c.engines = append(c.engines, e)
		return err
	})
	fl.IntVar(&c.prompt, "p", 512, "prompt `tokens`")
	fl.IntVar(&c.tokens, "n", 64, "generated `tokens`")
	fl.IntVar(&c.threads, "t", 2, "CPU `threads`")
	fl.IntVar(&c.rounds, "r", 5, "rounds")
	if err := fl.Parse(args); err != nil {
		return c, nil, err
	}
	if fl.NArg() == 0 || c.prompt < 1 || c.tokens < 1 || c.threads < 1 || c.rounds < 1 || strings.TrimSpace(*ours) == "" {
		return c, nil, errors.New("want at least one model file, and -p, -n, -t and -r above 0")
	}
	c.engines = append([]engine{{name: "sandwarp", command: strings.Fields(*ours), ours: true}}, c.engines...)
	return c, fl.Args(), nil
}

// parsePeer reads name=command.
func parsePeer(s string) (engine, error) {
	name, command, ok := strings.Cut(s, "=")
	words := strings.Fields(command)
	if !ok || name == "" || len(words) == 0 {
		return engine{}, fmt.Errorf("%q: want name=command", s)
	}
	return engine{name: name, command: words}, nil
}
