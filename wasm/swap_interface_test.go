package wasm_test

import (
	sandwarp "github.com/sandwarp/sandwarp/runtime"
	"github.com/sandwarp/sandwarp/wasm"
)

// What can be swapped goes wherever the plugin goes.
var (
	_ sandwarp.LogitFramer    = (*wasm.Swap)(nil)
	_ sandwarp.TopProcessor   = (*wasm.Swap)(nil)
	_ sandwarp.BatchProcessor = (*wasm.Swap)(nil)
	_ sandwarp.Planner        = (*wasm.Swap)(nil)
	_ sandwarp.Rollbacker     = (*wasm.Swap)(nil)
	_ sandwarp.Forker         = (*wasm.Swap)(nil)
	_ sandwarp.Tracer         = (*wasm.Swap)(nil)
	_ sandwarp.Seeder         = (*wasm.Swap)(nil)
	_ sandwarp.Tokenizer      = (*wasm.Swap)(nil)
	_ sandwarp.Filter         = (*wasm.Swap)(nil)
)

// What is recorded goes there, too, though a row at a time.
var (
	_ sandwarp.LogitProcessor = (*wasm.Recorded)(nil)
	_ sandwarp.Planner        = (*wasm.Recorded)(nil)
	_ sandwarp.Rollbacker     = (*wasm.Recorded)(nil)
	_ sandwarp.Forker         = (*wasm.Recorded)(nil)
	_ sandwarp.Tracer         = (*wasm.Recorded)(nil)
	_ sandwarp.Seeder         = (*wasm.Recorded)(nil)
	_ sandwarp.Tokenizer      = (*wasm.Recorded)(nil)
	_ sandwarp.Filter         = (*wasm.Recorded)(nil)
)
