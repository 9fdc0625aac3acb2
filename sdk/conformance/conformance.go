// Package conformance tries a plugin against the rules of the ABI (docs/abi.md): is its
// manifest true, does it decide the same twice, however its input is cut, whatever other
// requests do, planned or not, forked, taken back, after a fault, on another engine; does
// it bear odd input, and stay within the budget it declares?
//
// An author's test, in any Go module:
//
//	func TestMyPlugin(t *testing.T) {
//		module, err := os.ReadFile("my.wasm")
//		if err != nil {
//			t.Fatal(err)
//		}
//		conformance.Run(t, module, conformance.Options{})
//	}
//
// The command `sandwarp plugin check` prints the same as a report.
package conformance

import (
	"context"
	"time"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/wasm"
)

// Options say how a plugin is tried. The zero value is useful.
type Options struct {
	// Plugin configures the plugin. It is granted what it asks for, and a vocabulary
	// if there is none; its policy on faults is ours.
	Plugin wasm.Options
	// Texts are tried besides those every filter and tokenizer is tried with.
	Texts []string
	// Engines must give the same results and count the same fuel as Plugin.Engine.
	// nil means wazero's interpreter; empty, but not nil, none.
	Engines []wasm.Engine
	// P99 is the longest time of 99 of 100 calls; 0 means 50 ms, which is what a token
	// of a fast model takes.
	P99 time.Duration
}

func (o Options) withDefaults() Options {
	o.Plugin.Grant = append(append([]string(nil), o.Plugin.Grant...), abi.CapKV)
	if o.Plugin.Vocab == nil {
		o.Plugin.Vocab = vocabulary()
	}
	o.Plugin.OnFault, o.Plugin.Breaker.Faults = wasm.FailClosed, 1<<30
	if o.Engines == nil {
		o.Engines = []wasm.Engine{wasm.WazeroInterpreter()}
	}
	if o.P99 <= 0 {
		o.P99 = 50 * time.Millisecond
	}
	return o
}

// Check tries the plugin by all rules and reports what each found. It can be called from
// several goroutines.
func Check(ctx context.Context, module []byte, o Options) *Report {
	c := &checker{ctx: ctx, module: module, opt: o.withDefaults(), report: &Report{}, held: map[string]bool{}, broken: map[string]string{}}
	defer c.close()
	for i := range rules {
		c.try(&rules[i])
	}
	return c.report
}

// Tester is *testing.T; this package does not import testing.
type Tester[T any] interface {
	Helper()
	Run(name string, f func(T)) bool
	Errorf(format string, args ...any)
	Logf(format string, args ...any)
	Skipf(format string, args ...any)
}

// Run tries the plugin and makes each rule a subtest.
func Run[T Tester[T]](t T, module []byte, o Options) {
	t.Helper()
	for _, r := range Check(context.Background(), module, o).Results {
		t.Run(r.Rule, func(t T) {
			t.Helper()
			switch {
			case r.Skipped:
				t.Skipf("%s: %s", r.Name, r.Detail)
			case !r.Passed:
				t.Errorf("%s: %s", r.Name, r.Detail)
			case r.Detail != "":
				t.Logf("%s: %s", r.Name, r.Detail)
			}
		})
	}
}
