// Package rollback adds the export sw_seq_rollback to a plugin that is a Rollbacker:
//
//	import _ "github.com/sandwarp/sandwarp/sdk/go/rollback"
//
// A host takes the presence of an export for the ability, so that a plugin has only
// those it can serve.
package rollback
