package wasm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sandwarp/sandwarp/abi"
)

// Report is the outcome of Check.
type Report struct {
	Description *Description `json:"description,omitempty"`
	Results     []Result     `json:"results"`
}

// Result is one check.
type Result struct {
	Name   string `json:"name"`
	Passed bool   `json:"passed"`
	Detail string `json:"detail,omitempty"`
}

// OK says whether all checks passed.
func (r *Report) OK() bool {
	for _, c := range r.Results {
		if !c.Passed {
			return false
		}
	}
	return len(r.Results) > 0
}

// String is the report for humans.
func (r *Report) String() string {
	var b strings.Builder
	if r.Description != nil {
		fmt.Fprintln(&b, r.Description)
	}
	failed := 0
	for _, c := range r.Results {
		mark := "ok    "
		if !c.Passed {
			mark = "FAILED"
			failed++
		}
		fmt.Fprintf(&b, "%s %s", mark, c.Name)
		if c.Detail != "" {
			fmt.Fprintf(&b, ": %s", c.Detail)
		}
		fmt.Fprintln(&b)
	}
	fmt.Fprintf(&b, "%d checks, %d failed\n", len(r.Results), failed)
	return b.String()
}

// checker runs the checks of one plugin.
type checker struct {
	ctx    context.Context
	module []byte
	opt    Options
	r      *Report
	p      *Plugin
	seq    uint64
}

// Check tries a plugin: is it well formed and its manifest true, does it decide
// the same twice and whatever the chunks, does it bear odd input, does it stay
// within its budget, how fast is it? The plugin is granted what it asks for;
// options, if given, configure it.
func Check(ctx context.Context, module []byte, options ...Options) *Report {
	c := &checker{ctx: ctx, module: module, r: &Report{}}
	if len(options) > 0 {
		c.opt = options[0]
	}
	c.opt.Grant = append(c.opt.Grant, abi.CapKV)
	if c.opt.Vocab == nil {
		c.opt.Vocab = checkVocab()
	}
	c.opt.OnFault, c.opt.Breaker.Faults = FailClosed, 1<<30
	c.run()
	if c.p != nil {
		c.p.Close()
	}
	return c.r
}

// checkVocab is a small vocabulary: the bytes, and some words.
func checkVocab() []string {
	v := make([]string, 0, 300)
	for i := range 256 {
		v = append(v, string([]byte{byte(i)}))
	}
	return append(v, " the", " and", "hello", " world", "<|end|>")
}

func (c *checker) add(name string, err error, detail string, args ...any) bool {
	res := Result{Name: name, Passed: err == nil, Detail: fmt.Sprintf(detail, args...)}
	if err != nil {
		res.Detail = err.Error()
	}
	c.r.Results = append(c.r.Results, res)
	return err == nil
}

func (c *checker) run() {
	d, err := Describe(c.module)
	c.r.Description = d
	if !c.add("the module is within the limits", err, "") {
		return
	}
	start := time.Now()
	c.p, err = Load(c.ctx, c.module, c.opt)
	if !c.add("it loads and takes its configuration", err, "%v", time.Since(start).Round(100*time.Microsecond)) {
		return
	}
	if d.Manifest == nil {
		d.Manifest = c.p.manifest
	}
	c.manifest()
	c.reload()
	switch c.p.manifest.Kind {
	case abi.KindSampler:
		c.sampler()
	case abi.KindFilter:
		c.filter()
	case abi.KindTokenizer:
		c.tokenizer()
	}
	c.budget()
}

// manifest checks that it says what people and hosts want to know.
func (c *checker) manifest() {
	m, missing := c.p.manifest, []string{}
	if m.Version == "" {
		missing = append(missing, "version")
	}
	if m.Description == "" {
		missing = append(missing, "description")
	}
	if m.Fuel == 0 {
		missing = append(missing, "fuel")
	}
	if m.Kind == abi.KindFilter && m.HoldMax == 0 {
		missing = append(missing, "hold_max")
	}
	var err error
	if len(missing) > 0 {
		err = fmt.Errorf("it does not state: %s", strings.Join(missing, ", "))
	}
	c.add("the manifest is complete", err, "")
}

// reload checks that more instances can be made, as after a fault.
func (c *checker) reload() {
	in := c.p.instances[0]
	in.mu.Lock()
	defer in.mu.Unlock()
	start := time.Now()
	err := in.reset()
	how := "configured anew, as its code changes tables"
	if im := c.p.image.Load(); im != nil {
		how = fmt.Sprintf("from an image of %d KiB", im.bytes/1024)
	}
	c.add("it can be put back after a fault", err, "%v, %s", time.Since(start).Round(10*time.Microsecond), how)
}

// budget compares what the calls took with what the manifest allows.
func (c *checker) budget() {
	s := c.p.Stats()
	var err error
	if s.Calls > 0 && s.Faults > 0 {
		err = fmt.Errorf("%d of %d calls failed", s.Faults, s.Calls)
	}
	c.add("no call failed or ran out of fuel", err, "%d calls, %d instructions each on average", s.Calls, s.Fuel/max(s.Calls, 1))
	var slow error
	if s.P99 > 50*time.Millisecond {
		slow = fmt.Errorf("p99 %v, at most 50ms wanted", s.P99)
	}
	c.add("calls are fast", slow, "p50 %v, p99 %v", s.P50, s.P99)
}

// open begins a sequence with a seed of its own.
func (c *checker) open(seed uint64) (uint64, error) {
	c.seq++
	b := abi.AppendUint(abi.AppendString(abi.AppendMap(nil, 1), "seed"), seed)
	return c.seq, c.p.OpenSeq(c.seq, b)
}

// resetAll makes all sequences start from the image.
func (c *checker) resetAll() error {
	var all error
	for _, in := range c.p.instances {
		in.mu.Lock()
		all = errors.Join(all, in.reset())
		in.mu.Unlock()
	}
	return all
}
