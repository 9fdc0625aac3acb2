package fork

import "github.com/sandwarp/sandwarp/sdk/go/internal/hook"

//go:wasmexport sw_seq_fork
func swFork(src, dst uint64) int32 { return hook.Fork(src, dst) }
