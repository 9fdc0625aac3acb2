package binary

// Limits bound what a module may declare. An engine's compile time is not linear:
// with the number of blocks it grows by the square, with loops in functions of many
// locals worse (70 KB took 160 s and 1.9 GB), and with values that live at once.
// A module at any of these limits compiles in a few seconds, while Go guests, with
// a block for each basic block, stay below a tenth of them.
type Limits struct {
	ModuleBytes int    // whole module
	BodyBytes   int    // one function body
	Types       int    // function types
	Params      int    // parameters, or results, of one type
	Imports     int    // imported functions
	Functions   int    // defined functions
	Globals     int    //
	Exports     int    //
	Segments    int    // element and data segments each
	Elements    int    // table entries, over all tables; also the most a table can grow to
	Locals      int    // of one function; engines allow 50,000, and metering adds two
	AllLocals   int    // over all functions
	Nesting     int    // of blocks in one function
	Depths      int    // sum over the blocks of one function of their depth
	AllDepths   int    // the same over all functions
	Stack       int    // values on the operand stack
	Blocks      int    // blocks, branches and arms of one function
	AllBlocks   int    // sum over the functions of the square of that
	Loops       int    // loops of one function, times its locals and 16
	AllLoops    int    // the same over all functions
	Edges       int    // branch targets and calls of one function, each counted with the values it carries
	AllEdges    int    // the same over all functions
	MemoryPages uint32 // 64 KiB pages a module may have at the start, and grow to
}

// DefaultLimits are the limits for modules of unknown origin.
func DefaultLimits() Limits {
	return Limits{
		ModuleBytes: 16 << 20, BodyBytes: 1 << 20, Types: 10_000, Params: 1_000, Imports: 1_000,
		Functions: 50_000, Globals: 10_000, Exports: 10_000, Segments: 200_000, Elements: 1_000_000,
		Locals: 49_998, AllLocals: 1_000_000, Nesting: 1_000, Depths: 1_000_000, AllDepths: 20_000_000,
		Stack: 2_000, Blocks: 5_000, AllBlocks: 100_000_000, Loops: 50_000, AllLoops: 300_000, Edges: 20_000, AllEdges: 1_500_000, MemoryPages: 4096,
	}
}
