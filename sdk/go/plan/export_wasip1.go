package plan

import "github.com/sandwarp/sandwarp/sdk/go/internal/hook"

//go:wasmexport sw_plan
func swPlan(rows uint32) int32 { return hook.Plan(rows) }
