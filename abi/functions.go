package abi

// Function is what the ABI says of an export.
type Function struct {
	Type     string // parameters -> result, like "i32 i32 -> i32"
	Optional bool
	Kinds    []Kind // of plugins that have it; nil: all
}

var (
	sequences = []Kind{KindSampler, KindFilter}
	samplers  = []Kind{KindSampler}
	filters   = []Kind{KindFilter}
	tokenizer = []Kind{KindTokenizer}
)

// Exports are all functions that a guest exports, or may export. Besides them it
// exports its memory as "memory", and no name that begins with "sw_" or ExportReserved.
var Exports = map[string]Function{
	ExportVersion:     {Type: "-> i64"},
	ExportAlloc:       {Type: "i32 i32 -> i32"},
	ExportConfigure:   {Type: "i32 i32 -> i32"},
	ExportFree:        {Type: "i32 i32 i32 ->", Optional: true},
	ExportInit:        {Type: "->", Optional: true},
	ExportManifest:    {Type: "-> i64", Optional: true},
	ExportLastError:   {Type: "-> i64", Optional: true},
	ExportSeqOpen:     {"i64 i32 i32 -> i32", false, sequences},
	ExportSeqClose:    {"i64 -> i32", false, sequences},
	ExportSeqFork:     {"i64 i64 -> i32", true, sequences},
	ExportSeqRollback: {"i64 i32 -> i32", true, samplers},
	ExportFrame:       {"i32 -> i32", false, samplers},
	ExportSample:      {"i32 -> i32", false, samplers},
	ExportAccept:      {"i64 i32 i32 -> i32", true, samplers},
	ExportPlan:        {"i32 -> i32", true, samplers},
	ExportFilter:      {"i64 i32 i32 i32 -> i64", false, filters},
	ExportOut:         {"-> i64", false, filters},
	ExportEncode:      {"i32 i32 i32 -> i64", false, tokenizer},
	ExportDecode:      {"i32 i32 i32 -> i64", false, tokenizer},
}

// ImportTypes are the types of the host functions of Imports.
var ImportTypes = map[string]string{
	"log":        "i32 i32 i32 -> i32",
	"metric":     "i32 i32 f64 -> i32",
	"now":        "-> i64",
	"rand":       "-> i64",
	"kv_get":     "i32 i32 i32 i32 -> i32",
	"kv_set":     "i32 i32 i32 i32 -> i32",
	"vocab_map":  "i32 i32 -> i64",
	"op_topk":    "i32 i32 i32 i32 -> i32",
	"op_mask":    "i32 i32 i32 -> i32",
	"op_scale":   "i32 i32 f32 f32 -> i32",
	"op_penalty": "i32 i32 i32 i32 f32 f32 f32 -> i32",
	"op_lse":     "i32 i32 -> f64",
	"op_gather":  "i32 i32 i32 i32 i32 -> i32",
}

// WASIModule is where language runtimes import from.
const WASIModule = "wasi_snapshot_preview1"

// WASI are the functions of WASIModule that do something. All others of it answer that
// they are not there.
var WASI = map[string]string{
	"args_get":          "i32 i32 -> i32",
	"args_sizes_get":    "i32 i32 -> i32",
	"environ_get":       "i32 i32 -> i32",
	"environ_sizes_get": "i32 i32 -> i32",
	"clock_time_get":    "i32 i64 i32 -> i32",
	"fd_close":          "i32 -> i32",
	"fd_fdstat_get":     "i32 i32 -> i32",
	"fd_prestat_get":    "i32 i32 -> i32",
	"fd_write":          "i32 i32 i32 i32 -> i32",
	"poll_oneoff":       "i32 i32 i32 i32 -> i32",
	"proc_exit":         "i32 ->",
	"random_get":        "i32 i32 -> i32",
	"sched_yield":       "-> i32",
}
