package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sandwarp/sandwarp/cpubackend"
	sandwarp "github.com/sandwarp/sandwarp/runtime"
)

func benchCommand(io streams) *cobra.Command {
	b := &bencher{io: io}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure prefill and decode speed, beside the machine's own limits",
		Long: `bench runs a model's prompt processing (prefill) and token generation (decode) and
measures in the same run how fast this machine reads memory and multiplies, so
that each result is also a share of what is possible. Rounds are interleaved;
medians are printed.`,
		Example: `  sandwarp bench -m model.gguf
  sandwarp bench -m model.gguf -p 512 -n 128 -t 1,2 -o json`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return b.run(cmd.Context()) },
	}
	fl := cmd.Flags()
	fl.StringVarP(&b.model.path, "model", "m", "", "GGUF `file`; the demo model by default")
	fl.IntVarP(&b.prompt, "prompt", "p", 512, "prompt `tokens` of the prefill test; 0 leaves it out")
	fl.IntVarP(&b.tokens, "tokens", "n", 128, "`tokens` of the decode test; 0 leaves it out")
	fl.IntVarP(&b.rounds, "rounds", "r", 5, "rounds; the median is printed")
	fl.StringVarP(&b.threads, "threads", "t", "", "numbers of CPU workers, as in 1,2; one per core by default")
	fl.StringVarP(&b.output, "output", "o", "table", "table or json")
	fl.StringVar(&b.model.backend, "backend", "", "backend to run on")
	return cmd
}

type bencher struct {
	io             streams
	model          modelFlags
	prompt, tokens int
	rounds         int
	threads        string
	output         string
}

// benchResult is one test with one number of threads. Rates are medians.
type benchResult struct {
	Model        string    `json:"model"`
	Format       string    `json:"format"`
	Bytes        int64     `json:"model_bytes"`
	Backend      string    `json:"backend"`
	CPU          string    `json:"cpu"`
	Instructions string    `json:"instructions"`
	Threads      int       `json:"threads"`
	Test         string    `json:"test"`
	Rate         float64   `json:"tokens_per_second"`
	Samples      []float64 `json:"samples"`
	// The limits of the CPU, measured between the rounds.
	ReadBandwidth float64 `json:"read_bandwidth_bytes_per_second,omitempty"`
	IntPeak       float64 `json:"int8_peak_ops_per_second,omitempty"`
	FloatPeak     float64 `json:"fp32_peak_ops_per_second,omitempty"`
	// What the test reached of them; decoding reads all weights for each token.
	ReadShare float64 `json:"read_bandwidth_share,omitempty"`
	VNNIShare float64 `json:"vnni_share,omitempty"`
	// The same of a GPU: bytes a copy reads and writes, products of halves.
	CopyBandwidth float64 `json:"gpu_copy_bytes_per_second,omitempty"`
	MatrixPeak    float64 `json:"gpu_f16_peak_flops,omitempty"`
	CopyShare     float64 `json:"gpu_copy_share,omitempty"`
	MatrixShare   float64 `json:"gpu_f16_share,omitempty"`
}

func (b *bencher) run(ctx context.Context) error {
	threads, err := b.threadList()
	if err != nil {
		return err
	}
	if b.output != "table" && b.output != "json" || b.rounds < 1 || b.prompt < 0 || b.tokens < 0 || b.prompt+b.tokens == 0 {
		return usageError{fmt.Errorf("bench: want -o table or json, at least one round, and -p or -n above 0")}
	}
	var all []benchResult
	for _, t := range threads {
		r, err := b.measure(ctx, t)
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

func (b *bencher) threadList() ([]int, error) {
	if b.threads == "" {
		return []int{cpubackend.DefaultThreads()}, nil
	}
	var list []int
	for _, f := range strings.Split(b.threads, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(f))
		if err != nil || n < 1 || n > 1024 {
			return nil, usageError{fmt.Errorf("bench: %q is no number of threads", f)}
		}
		list = append(list, n)
	}
	return list, nil
}

// measure runs all rounds with one number of threads.
func (b *bencher) measure(ctx context.Context, threads int) ([]benchResult, error) {
	b.model.threads = threads
	b.model.context = b.prompt + b.tokens + 1
	m, err := b.model.openAtMost(ctx, b.io)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	tests := []struct {
		name string
		on   bool
		run  func() (float64, error)
	}{
		{fmt.Sprintf("pp%d", b.prompt), b.prompt > 0, func() (float64, error) { return prefillRate(ctx, m, b.prompt) }},
		{fmt.Sprintf("tg%d", b.tokens), b.tokens > 0, func() (float64, error) { return decodeRate(ctx, m, b.tokens) }},
	}
	report, end := b.io.progress(fmt.Sprintf("bench -t %d", threads))
	defer end()
	samples := make([][]float64, len(tests))
	var limits []limits
	for round := -1; round < b.rounds; round++ { // one round to warm up
		l, err := measureLimits(m.Info().Backend, threads)
		if err != nil {
			return nil, err
		}
		limits = append(limits, l)
		for i, t := range tests {
			if !t.on {
				continue
			}
			rate, err := t.run()
			if err != nil {
				return nil, err
			}
			if round >= 0 {
				samples[i] = append(samples[i], rate)
			}
		}
		report(int64(round+2), int64(b.rounds+1))
	}
	var results []benchResult
	for i, t := range tests {
		if t.on {
			results = append(results, b.result(m, threads, t.name, samples[i], limits[1:]))
		}
	}
	return results, nil
}

// limits are what the machine a model runs on can do.
type limits struct {
	cpu        cpubackend.Limits
	copy, flop float64 // of the GPU, if the whole model runs there
}

// measureLimits measures the machine of a backend. A model that is split between two
// has no limit of its own.
func measureLimits(backend string, threads int) (l limits, err error) {
	switch backend {
	case "cpu":
		l.cpu = cpubackend.MeasureLimits(threads)
	case "ptx":
		l.copy, l.flop, err = gpuLimits()
	}
	return l, err
}

func (b *bencher) result(m *sandwarp.Model, threads int, test string, samples []float64, all []limits) benchResult {
	info := m.Info()
	pick := func(f func(limits) float64) float64 {
		v := make([]float64, len(all))
		for i, l := range all {
			v[i] = f(l)
		}
		return median(v)
	}
	r := benchResult{
		Model: info.Name, Format: info.Format, Bytes: info.Bytes, Backend: info.Backend,
		CPU: cpubackend.CPUName(), Instructions: cpubackend.Features(), Threads: threads,
		Test: test, Rate: median(samples), Samples: samples,
		ReadBandwidth: pick(func(l limits) float64 { return l.cpu.ReadBandwidth }),
		IntPeak:       pick(func(l limits) float64 { return l.cpu.IntPeak }),
		FloatPeak:     pick(func(l limits) float64 { return l.cpu.FloatPeak }),
		CopyBandwidth: pick(func(l limits) float64 { return l.copy }),
		MatrixPeak:    pick(func(l limits) float64 { return l.flop }),
	}
	bytes, ops := r.Rate*float64(info.StepBytes), r.Rate*2*float64(info.StepWeights)
	decoding := strings.HasPrefix(test, "tg")
	switch {
	case r.CopyBandwidth > 0:
		if r.MatrixShare = ops / r.MatrixPeak; decoding {
			r.CopyShare = bytes / r.CopyBandwidth
		}
	case r.IntPeak > 0:
		if r.VNNIShare = ops / r.IntPeak; decoding {
			r.ReadShare = bytes / r.ReadBandwidth
		}
	}
	return r
}

// prefillRate runs a prompt of n tokens and returns tokens a second.
func prefillRate(ctx context.Context, m *sandwarp.Model, n int) (float64, error) {
	s, err := benchAnswer(ctx, m, n, 1)
	return s.PrefillRate(), err
}

// decodeRate generates n tokens after a short prompt and returns tokens a second.
func decodeRate(ctx context.Context, m *sandwarp.Model, n int) (float64, error) {
	s, err := benchAnswer(ctx, m, 1, n+1)
	return s.DecodeRate(), err
}

func benchAnswer(ctx context.Context, m *sandwarp.Model, prompt, answer int) (sandwarp.Stats, error) {
	s := m.NewSession()
	defer s.Close()
	ids := make([]int32, prompt)
	for i := range ids {
		ids[i] = int32((i*7919 + 11) % m.Info().Vocabulary)
	}
	for _, err := range s.GenerateTokens(ctx, ids, sandwarp.GenerateOptions{MaxTokens: answer, IgnoreEOS: true}) {
		if err != nil {
			return sandwarp.Stats{}, err
		}
	}
	return s.Stats(), nil
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if len(s) == 0 {
		return 0
	}
	return (s[len(s)/2] + s[(len(s)-1)/2]) / 2
}

func (b *bencher) table(all []benchResult) error {
	w := tabwriter.NewWriter(b.io.out, 0, 4, 2, ' ', 0)
	if len(all) > 0 {
		r := all[0]
		fmt.Fprintf(w, "%s, %s, %s; %s, %s\n", r.Model, r.Format, bytesText(r.Bytes), r.CPU, r.Instructions)
	}
	fmt.Fprintln(w, "test\tthreads\ttokens/s\tmin-max\tof bandwidth\tof peak\tlimits")
	for _, r := range all {
		bandwidth, peak := r.ReadShare, r.VNNIShare
		measured := fmt.Sprintf("read %.1f GB/s, int8 %.0f GOP/s", r.ReadBandwidth/1e9, r.IntPeak/1e9)
		switch {
		case r.CopyBandwidth > 0:
			bandwidth, peak = r.CopyShare, r.MatrixShare
			measured = fmt.Sprintf("GPU copy %.0f GB/s, f16 %.0f TFLOP/s", r.CopyBandwidth/1e9, r.MatrixPeak/1e12)
		case r.IntPeak == 0:
			measured = "none measured on " + r.Backend
		}
		fmt.Fprintf(w, "%s\t%d\t%.1f\t%.1f-%.1f\t%s\t%s\t%s\n", r.Test, r.Threads, r.Rate,
			slices.Min(r.Samples), slices.Max(r.Samples), shareText(bandwidth, 0), shareText(peak, 1), measured)
	}
	return w.Flush()
}

// shareText is a share in percent, "-" for none.
func shareText(share float64, digits int) string {
	if share == 0 {
		return "-"
	}
	return fmt.Sprintf("%.*f%%", digits, 100*share)
}
