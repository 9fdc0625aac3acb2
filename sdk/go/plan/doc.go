// Package plan adds the export sw_plan to a plugin that is a Planner:
//
//	import _ "github.com/sandwarp/sandwarp/sdk/go/plan"
//
// A host takes the presence of an export for the ability, so that a plugin has only
// those it can serve.
package plan
