package binary

import "fmt"

// Error is why a module was refused and where.
type Error struct {
	Section string // name of the section, "header" before the first
	Offset  int    // byte offset in the module
	Reason  string
	// Unsupported: the module may be valid, but goes beyond what this host offers.
	Unsupported bool
}

func (e *Error) Error() string {
	return fmt.Sprintf("wasm module: %s section, offset %d: %s", e.Section, e.Offset, e.Reason)
}

var sectionNames = []string{"custom", "type", "import", "function", "table", "memory", "global",
	"export", "start", "element", "code", "data", "data count"}
