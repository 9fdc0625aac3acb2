package abi

import "slices"

// The ABI's version. The major stands in the import module's name (sw1) and in
// the export sw_abi_v1; a guest built for another major has neither.
const (
	Major = 1
	Minor = 0
	// ImportModule is the module name of all host functions.
	ImportModule = "sw1"
	// ManifestSection is the custom section that holds the msgpack manifest.
	ManifestSection = "sw.manifest"
	// ExportReserved begins the names of exports that hosts add.
	ExportReserved = "sw_meter_"
)

// Names of the guest's exports.
const (
	ExportVersion     = "sw_abi_v1"
	ExportManifest    = "sw_manifest"
	ExportInit        = "_initialize"
	ExportMemory      = "memory"
	ExportAlloc       = "sw_alloc"
	ExportFree        = "sw_free"
	ExportConfigure   = "sw_configure"
	ExportLastError   = "sw_last_error"
	ExportFrame       = "sw_frame"
	ExportSeqOpen     = "sw_seq_open"
	ExportSeqFork     = "sw_seq_fork"
	ExportSeqRollback = "sw_seq_rollback"
	ExportSeqClose    = "sw_seq_close"
	ExportPlan        = "sw_plan"
	ExportSample      = "sw_sample"
	ExportAccept      = "sw_accept"
	ExportEncode      = "sw_encode"
	ExportDecode      = "sw_decode"
	ExportFilter      = "sw_filter"
	ExportOut         = "sw_out"
)

// Feature bits: the low 48 bits of sw_abi_v1's result are the features the guest
// cannot do without. A host that lacks one refuses the plugin and names the bit.
const (
	FeatureHostOps uint64 = 1 << 0 // op_topk, op_mask, op_scale, op_penalty, op_lse, op_gather
	FeatureVocab   uint64 = 1 << 1 // vocab_map
	FeatureReplay  uint64 = 1 << 2 // the host rebuilds sequences after a fault (FlagReplay)

	// Features are the bits this version's host offers.
	Features = FeatureHostOps | FeatureVocab | FeatureReplay
	// FeatureMask selects the feature bits of a version word.
	FeatureMask uint64 = 1<<48 - 1
)

// FeatureNames are the manifest's names of the feature bits, by bit number.
var FeatureNames = []string{"host-ops", "vocab", "replay"}

// FeatureBits are the bits of the features named; names without a bit have none.
func FeatureBits(names []string) (bits uint64) {
	for bit, name := range FeatureNames {
		if slices.Contains(names, name) {
			bits |= 1 << bit
		}
	}
	return bits
}

// VersionWord is the result of sw_abi_v1: the minor version and required features.
func VersionWord(minor uint16, features uint64) uint64 {
	return uint64(minor)<<48 | features&FeatureMask
}

// SplitVersion takes a version word apart.
func SplitVersion(w uint64) (minor uint16, features uint64) {
	return uint16(w >> 48), w & FeatureMask
}

// Capabilities a manifest can ask for. Log, metric, rand and clock are harmless
// (capped, seeded, virtual) and granted unless the host's owner takes them away.
const (
	CapLog    = "log"
	CapMetric = "metric"
	CapClock  = "clock" // a virtual clock; no wall time
	CapRand   = "rand"  // seeded by request and position
	CapKV     = "kv"    // a small store shared by the plugin's instances
	CapVocab  = "vocab" // the model's token texts
)

// Imports maps each host function to the capability it needs ("" = none).
var Imports = map[string]string{
	"log": CapLog, "metric": CapMetric, "now": CapClock, "rand": CapRand,
	"kv_get": CapKV, "kv_set": CapKV, "vocab_map": CapVocab,
	"op_topk": "", "op_mask": "", "op_scale": "", "op_penalty": "", "op_lse": "", "op_gather": "",
}
