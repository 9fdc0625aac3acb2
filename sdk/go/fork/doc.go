// Package fork adds the export sw_seq_fork to a plugin that is a Forker:
//
//	import _ "github.com/sandwarp/sandwarp/sdk/go/fork"
//
// A host takes the presence of an export for the ability, so that a plugin has only
// those it can serve.
package fork
