package rollback

import "github.com/sandwarp/sandwarp/sdk/go/internal/hook"

//go:wasmexport sw_seq_rollback
func swRollback(seq uint64, n uint32) int32 { return hook.Rollback(seq, n) }
