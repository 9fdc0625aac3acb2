package binary

// Limits bound what a module may declare. They are chosen so that a module at
// every limit compiles in seconds and in tens of megabytes, while Go guests
// (a few MB, blocks nested by the number of basic blocks) pass.
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
	Locals      int    // of one function
	AllLocals   int    // over all functions
	Nesting     int    // of blocks in one function
	Depths      int    // sum over the blocks of one function of their depth
	AllDepths   int    // the same over all functions
	Edges       int    // branch targets of one function, each counted with the values it carries
	AllEdges    int    // the same over all functions
	MemoryPages uint32 // 64 KiB pages a module may have at the start, and grow to
}

// DefaultLimits are the limits for modules of unknown origin.
func DefaultLimits() Limits {
	return Limits{
		ModuleBytes: 16 << 20, BodyBytes: 1 << 20, Types: 10_000, Params: 1_000, Imports: 1_000,
		Functions: 50_000, Globals: 10_000, Exports: 10_000, Segments: 200_000, Elements: 1_000_000,
		Locals: 50_000, AllLocals: 1_000_000, Nesting: 1_000, Depths: 1_000_000, AllDepths: 20_000_000,
		Edges: 200_000, AllEdges: 4_000_000, MemoryPages: 4096,
	}
}
