package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sandwarp/sandwarp/cmd/sandwarp/demo"
	sandwarp "github.com/sandwarp/sandwarp/runtime"
)

// modelFlags say which model to open and how.
type modelFlags struct {
	path      string
	threads   int
	context   int
	sequences int
	backend   string
	cache     string // "f16", "f32", "q8_0"; "" for the default
	lowMemory bool
	verbose   bool
	template  string // path of a Jinja template
	// emptyPath reports a --model "", from an unset variable say.
	emptyPath func() bool
}

func (f *modelFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVarP(&f.path, "model", "m", "", "GGUF `file`; without it the built-in demo model runs")
	f.emptyPath = func() bool { return fl.Changed("model") && f.path == "" }
	fl.IntVarP(&f.threads, "threads", "t", 0, "CPU workers; 0 means one per core")
	fl.IntVarP(&f.context, "context", "c", 0, "longest sequence in `tokens`; 0 means the model's own, at most 8192")
	fl.StringVar(&f.backend, "backend", "", "backend to run on; the best one by default")
	f.addMemory(cmd)
	fl.StringVar(&f.template, "chat-template", "", "`file` with a Jinja chat template to use instead of the model's")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "say on standard error what happens")
}

// addMemory adds the flags about memory.
func (f *modelFlags) addMemory(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.BoolVar(&f.lowMemory, "low-memory", false, "keep no second copy of the weights on the CPU; slower")
	fl.StringVar(&f.cache, "cache-type", "", "keep the KV cache as f16, f32 or q8_0, half the memory of f16; f16 by default")
}

// open opens the model the flags name, with a progress bar on a terminal.
func (f *modelFlags) open(ctx context.Context, io streams, tok sandwarp.Tokenizer) (*sandwarp.Model, error) {
	if f.emptyPath != nil && f.emptyPath() {
		return nil, usageError{errors.New("--model is empty: name a file, or leave the flag out for the demo model")}
	}
	if known := sandwarp.Backends(); f.backend != "" && !slices.Contains(known, f.backend) {
		return nil, usageError{fmt.Errorf("--backend is %q; known backends are %s", f.backend, strings.Join(known, ", "))}
	}
	report, end := io.progress("loading")
	defer end()
	o := sandwarp.Options{
		Backend: f.backend, Threads: f.threads, Context: f.context, MaxSequences: f.sequences, CacheType: sandwarp.CacheType(f.cache), LowMemory: f.lowMemory, Tokenizer: tok, Progress: report,
	}
	if f.template != "" {
		b, err := readFile(f.template, 1<<20)
		if err != nil {
			return nil, err
		}
		o.ChatTemplate = string(b)
	}
	if f.verbose {
		o.Logger = slog.New(slog.NewTextHandler(io.err, nil))
	}
	if f.path == "" {
		return sandwarp.OpenBytes(ctx, "demo.gguf (built in)", demo.GGUF, o)
	}
	return sandwarp.Open(ctx, f.path, o)
}

// openAtMost opens the model with the context the flags want, or the longest one
// the model has if that is shorter.
func (f *modelFlags) openAtMost(ctx context.Context, io streams) (*sandwarp.Model, error) {
	wanted := f.context
	f.context = 0
	m, err := f.open(ctx, io, nil)
	if err != nil || m.Info().Context >= wanted || m.Info().Trained < wanted {
		return m, err
	}
	m.Close()
	f.context = wanted
	return f.open(ctx, io, nil)
}

// samplingFlags say how tokens are chosen.
type samplingFlags struct {
	o       sandwarp.GenerateOptions
	seed    uint64
	hasSeed func() bool
}

func (f *samplingFlags) add(cmd *cobra.Command, temperature float64) {
	fl := cmd.Flags()
	fl.IntVarP(&f.o.MaxTokens, "max-tokens", "n", 0, "at most this many `tokens`; 0 leaves it to the model")
	fl.Float64Var(&f.o.Temperature, "temperature", temperature, "0 always takes the most likely token")
	fl.IntVar(&f.o.TopK, "top-k", 40, "keep the `k` most likely tokens; 0 keeps all")
	fl.Float64Var(&f.o.TopP, "top-p", 0.95, "keep the most likely tokens up to this probability")
	fl.Float64Var(&f.o.MinP, "min-p", 0, "drop tokens less likely than this share of the best one")
	fl.Float64Var(&f.o.RepetitionPenalty, "repetition-penalty", 1, "above 1 makes repeated tokens less likely")
	fl.Float64Var(&f.o.PresencePenalty, "presence-penalty", 0, "subtracted from tokens that occurred")
	fl.Float64Var(&f.o.FrequencyPenalty, "frequency-penalty", 0, "subtracted for each occurrence")
	fl.Uint64Var(&f.seed, "seed", 0, "fixes the random choices; without it every run differs")
	fl.StringArrayVar(&f.o.Stop, "stop", nil, "end the answer before this `text` (repeatable)")
	fl.BoolVar(&f.o.IgnoreEOS, "ignore-eos", false, "go on after the model's end token")
	f.hasSeed = func() bool { return fl.Changed("seed") }
}

// options are the generation options; a seed is drawn if none was given.
func (f *samplingFlags) options() sandwarp.GenerateOptions {
	o := f.o
	if o.Seed = f.seed; !f.hasSeed() {
		o.Seed = randomSeed()
	}
	return o
}
