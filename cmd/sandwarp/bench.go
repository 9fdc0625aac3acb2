package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sandwarp/sandwarp/cpubackend"
	sandwarp "github.com/sandwarp/sandwarp/runtime"
)

const benchHelp = `bench runs a model's prompt processing (prefill) and token generation (decode) and
measures in the same run how fast this machine reads memory and multiplies, so
that each result is also a share of what is possible. The limits are measured
before and after every test, and the larger counts; the rounds take all tests in
turn. Medians are printed, with the lowest and the highest.

The tests:
  ppN      a prompt of N tokens (-p)
  tgN      N tokens, one after the other (-n)
  ...@dD   the same after a prompt of D tokens (-d)
  tgNxM    M sequences decoded together, N tokens each: tokens a second in all,
           and the gain over one sequence (--batch)
  load     from the beginning of opening the file to the first token, with the
           file in the page cache (--load)
  memory   what the process holds after a prompt and an answer, beyond the
           resident part of the mapped weights, the KV cache in use and
           repacked weights; on Linux (--memory)

A model smaller than the processor's caches, as the demo model is, may take more
than 100% of the memory's bandwidth.

The fields of -o json, an array with an object a test; those that do not apply
are left out:
  model, format, model_bytes, backend, cpu, instructions, threads, test
  sequences                          decoded together
  depth                              tokens in the cache before the test
  tokens_per_second                  median of the samples
  samples                            of each round: tokens a second; seconds of load
  gain                               median ratio to one sequence in the same round
  seconds                            median of load
  read_bandwidth_bytes_per_second    limit of memory, the median of the rounds
  read_bandwidth_min, _max           its lowest and highest measurement
  int8_peak_ops_per_second           limit of int8 multiply-adds, two operations each
  int8_peak_min, _max
  fp32_peak_ops_per_second           the same of float32
  read_bandwidth_share               median share of the rounds; decoding reads all
                                     weights for each step
  vnni_share                         share of the int8 peak
  gpu_copy_bytes_per_second, gpu_f16_peak_flops, gpu_copy_share, gpu_f16_share
  rss_bytes                          resident memory of the process
  rss_weights_bytes                  of it, pages of the mapped model file
  rss_cache_bytes                    of it, the KV cache in use
  rss_repacked_bytes                 of it, weights in another order than the file's
  rss_beyond_bytes                   the rest`

func benchCommand(io streams) *cobra.Command {
	b := &bencher{io: io}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure prefill and decode speed, beside the machine's own limits",
		Long:  benchHelp,
		Example: `  sandwarp bench -m model.gguf
  sandwarp bench -m model.gguf -p 512 -n 128 -t 1,2 -o json
  sandwarp bench -m model.gguf --batch 1,2,4,8,16 --load --memory`,
		Args: args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return b.run(cmd.Context()) },
	}
	fl := cmd.Flags()
	fl.StringVarP(&b.model.path, "model", "m", "", "GGUF `file`; the demo model by default")
	fl.IntVarP(&b.prompt, "prompt", "p", 512, "prompt `tokens` of the prefill test; 0 leaves it out")
	fl.IntVarP(&b.tokens, "tokens", "n", 128, "`tokens` of the decode tests; 0 leaves them out")
	fl.IntVarP(&b.rounds, "rounds", "r", 5, "rounds; the median is printed")
	fl.StringVarP(&b.threads, "threads", "t", "", "`numbers` of CPU workers, as in 1,2; one per core by default")
	fl.IntVarP(&b.depth, "depth", "d", 0, "`tokens` in the cache before the prefill and the decode test")
	fl.StringVar(&b.batch, "batch", "", "`numbers` of sequences to decode together, as in 1,2,4,8,16")
	fl.BoolVar(&b.load, "load", false, "measure the time to the first token as well")
	fl.BoolVar(&b.memory, "memory", false, "measure resident memory as well (Linux)")
	fl.StringVarP(&b.output, "output", "o", "table", "table or json")
	fl.StringVar(&b.model.backend, "backend", "", "backend to run on")
	b.model.addMemory(cmd)
	return cmd
}

type bencher struct {
	io             streams
	model          modelFlags
	prompt, tokens int
	depth, rounds  int
	threads, batch string
	load, memory   bool
	output         string
}

// benchResult is one test with one number of threads; benchHelp says what the
// fields are.
type benchResult struct {
	Model        string    `json:"model"`
	Format       string    `json:"format"`
	Bytes        int64     `json:"model_bytes"`
	Backend      string    `json:"backend"`
	CPU          string    `json:"cpu"`
	Instructions string    `json:"instructions"`
	Threads      int       `json:"threads"`
	Test         string    `json:"test"`
	Sequences    int       `json:"sequences,omitempty"`
	Depth        int       `json:"depth,omitempty"`
	Rate         float64   `json:"tokens_per_second,omitempty"`
	Samples      []float64 `json:"samples,omitempty"`
	Gain         float64   `json:"gain,omitempty"`
	Seconds      float64   `json:"seconds,omitempty"`

	ReadBandwidth float64 `json:"read_bandwidth_bytes_per_second,omitempty"`
	ReadMin       float64 `json:"read_bandwidth_min,omitempty"`
	ReadMax       float64 `json:"read_bandwidth_max,omitempty"`
	IntPeak       float64 `json:"int8_peak_ops_per_second,omitempty"`
	IntMin        float64 `json:"int8_peak_min,omitempty"`
	IntMax        float64 `json:"int8_peak_max,omitempty"`
	FloatPeak     float64 `json:"fp32_peak_ops_per_second,omitempty"`
	ReadShare     float64 `json:"read_bandwidth_share,omitempty"`
	VNNIShare     float64 `json:"vnni_share,omitempty"`
	CopyBandwidth float64 `json:"gpu_copy_bytes_per_second,omitempty"`
	MatrixPeak    float64 `json:"gpu_f16_peak_flops,omitempty"`
	CopyShare     float64 `json:"gpu_copy_share,omitempty"`
	MatrixShare   float64 `json:"gpu_f16_share,omitempty"`

	RSS         int64  `json:"rss_bytes,omitempty"`
	RSSWeights  int64  `json:"rss_weights_bytes,omitempty"`
	RSSCache    int64  `json:"rss_cache_bytes,omitempty"`
	RSSRepacked int64  `json:"rss_repacked_bytes,omitempty"`
	RSSBeyond   int64  `json:"rss_beyond_bytes,omitempty"`
	unknown     string // why there is no result, for people
}

func (b *bencher) run(ctx context.Context) error {
	threads, batches, err := b.check()
	if err != nil {
		return err
	}
	var all []benchResult
	for _, t := range threads {
		r, err := b.measure(ctx, t, batches)
		if err != nil {
			return err
		}
		all = append(all, r...)
	}
	if b.output == "json" {
		enc := json.NewEncoder(b.io.out)
		enc.SetIndent("", "  ")
		return enc.Encode(all)
	}
	return b.table(all)
}

// check names the first flag that is wrong, and reads the lists.
func (b *bencher) check() (threads, batches []int, err error) {
	wrong := func(format string, a ...any) ([]int, []int, error) {
		return nil, nil, usageError{fmt.Errorf("bench: "+format, a...)}
	}
	switch {
	case b.output != "table" && b.output != "json":
		return wrong("-o is %q, want table or json", b.output)
	case b.rounds < 1:
		return wrong("-r is %d, want at least one round", b.rounds)
	case b.prompt < 0:
		return wrong("-p is %d, want 0 or more", b.prompt)
	case b.tokens < 0:
		return wrong("-n is %d, want 0 or more", b.tokens)
	case b.depth < 0:
		return wrong("-d is %d, want 0 or more", b.depth)
	case b.batch != "" && b.tokens == 0:
		return wrong("--batch needs -n above 0")
	case b.prompt+b.tokens == 0 && !b.load && !b.memory:
		return wrong("nothing to measure: -p and -n are both 0")
	}
	if threads, err = numbers(b.threads, 1024); err != nil {
		return wrong("-t: %w", err)
	}
	if len(threads) == 0 {
		threads = []int{cpubackend.DefaultThreads()}
	}
	if batches, err = numbers(b.batch, 512); err != nil {
		return wrong("--batch: %w", err)
	}
	if len(batches) > 0 && batches[0] != 1 { // what the gain is over
		batches = append([]int{1}, slices.DeleteFunc(batches, func(n int) bool { return n == 1 })...)
	}
	return threads, batches, nil
}

// numbers reads a list as in 1,2,4.
func numbers(list string, most int) (all []int, err error) {
	if list == "" {
		return nil, nil
	}
	for _, f := range strings.Split(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(f))
		if err != nil || n < 1 || n > most {
			return nil, fmt.Errorf("%q is no number from 1 to %d", f, most)
		}
		all = append(all, n)
	}
	return all, nil
}

// open opens the model once more, as the tests want it, and refuses tests that its
// context would cut short.
func (b *bencher) open(ctx context.Context, threads int, batches []int) (*sandwarp.Model, error) {
	f := b.model
	f.threads = threads
	f.context = b.depth + b.prompt + b.tokens + 2
	if len(batches) > 0 {
		f.sequences = slices.Max(batches)
	}
	m, err := f.openAtMost(ctx, b.io)
	if err != nil {
		return nil, err
	}
	if has, wanted := m.Info().Context, b.longest(); wanted > has {
		m.Close()
		return nil, usageError{fmt.Errorf("bench: -p %d, -n %d and -d %d take %d tokens, the model's context has %d", b.prompt, b.tokens, b.depth, wanted, has)}
	}
	return m, nil
}

// longest is the most tokens a test's sequence has: those of the depth with a token
// answered, then the prompt with one, or a token with the answer and one to begin with.
func (b *bencher) longest() int {
	before, turn := b.depth, 0
	if before > 0 {
		before++
	}
	if b.prompt > 0 {
		turn = b.prompt + 1
	}
	if b.tokens > 0 {
		turn = max(turn, b.tokens+2)
	}
	return before + turn
}

// measure runs all rounds with one number of threads.
func (b *bencher) measure(ctx context.Context, threads int, batches []int) ([]benchResult, error) {
	tests := b.tests(batches, threads)
	var memory *benchResult
	if b.memory { // first, while nothing else is there
		r, err := b.resident(ctx, threads)
		if err != nil {
			return nil, err
		}
		memory = &r
	}
	m, err := b.open(ctx, threads, batches)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	meter, err := newMeter(m.Info().Backend, threads)
	if err != nil {
		return nil, err
	}
	defer meter.close()
	if err := b.rounded(ctx, m, meter, tests, threads); err != nil {
		return nil, err
	}
	results := make([]benchResult, 0, len(tests)+1)
	for i := range tests {
		results = append(results, tests[i].result(b.about(m, threads), m.Info(), tests))
	}
	if memory != nil {
		results = append(results, *memory)
	}
	return results, nil
}

// rounded runs all tests in turn, once to warm up, and files their samples.
func (b *bencher) rounded(ctx context.Context, m *sandwarp.Model, meter *meter, tests []benchTest, threads int) error {
	report, end := b.io.progress(fmt.Sprintf("bench -t %d", threads))
	defer end()
	for round := -1; round < b.rounds; round++ {
		before, err := meter.measure()
		if err != nil {
			return err
		}
		for i := range tests {
			sample, err := tests[i].run(ctx, m)
			if err != nil {
				return err
			}
			after, err := meter.measure()
			if err != nil {
				return err
			}
			if round >= 0 {
				tests[i].add(sample, before, after)
			}
			before = after
		}
		report(int64(round+2), int64(b.rounds+1))
	}
	return nil
}

// about is what all results of a model have in common.
func (b *bencher) about(m *sandwarp.Model, threads int) benchResult {
	info := m.Info()
	return benchResult{
		Model: info.Name, Format: info.Format, Bytes: info.Bytes, Backend: info.Backend,
		CPU: cpubackend.CPUName(), Instructions: cpubackend.Features(), Threads: threads,
	}
}
