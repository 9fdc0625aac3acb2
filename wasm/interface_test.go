package wasm_test

import (
	"context"
	"fmt"

	sandwarp "github.com/sandwarp/sandwarp/runtime"
	"github.com/sandwarp/sandwarp/sdk/c/examples"
	"github.com/sandwarp/sandwarp/wasm"
)

// A plugin goes wherever a Go processor, tokenizer or filter does, though
// neither package imports the other.
var (
	_ sandwarp.LogitProcessor = (*wasm.Plugin)(nil)
	_ sandwarp.LogitFramer    = (*wasm.Plugin)(nil)
	_ sandwarp.TopProcessor   = (*wasm.Plugin)(nil)
	_ sandwarp.BatchProcessor = (*wasm.Plugin)(nil)
	_ sandwarp.Planner        = (*wasm.Plugin)(nil)
	_ sandwarp.Rollbacker     = (*wasm.Plugin)(nil)
	_ sandwarp.Forker         = (*wasm.Plugin)(nil)
	_ sandwarp.Tracer         = (*wasm.Plugin)(nil)
	_ sandwarp.Seeder         = (*wasm.Plugin)(nil)
	_ sandwarp.Tokenizer      = (*wasm.Plugin)(nil)
	_ sandwarp.Filter         = (*wasm.Plugin)(nil)
)

func Example() {
	ctx := context.Background()
	p, err := wasm.Load(ctx, examples.Redact, wasm.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	if err := p.OpenSeq(1, nil); err != nil {
		fmt.Println(err)
		return
	}
	out, n, _, err := p.Filter(1, []byte("Write to ann@example.org."), sandwarp.FilterEnd)
	fmt.Println(string(out), n, err)
	// Output: Write to [email]. 25 <nil>
}
