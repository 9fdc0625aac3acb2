//go:generate go run . ../..

// Command arm64 writes the arm64 assembly of the kernels package and its Go
// stubs. Run it through go generate (make generate-asm); the output is
// committed.
//
// Loops and addresses are in the words of Go's assembler. It lacks most vector
// arithmetic, so all vector instructions are written as encoded words, with
// what they mean in the Arm manual's own syntax beside them (encode.go).
package main

import (
	"log"
	"os"
	"path/filepath"
)

// A source is one pair of files, stem_arm64.s and stem_arm64.go.
type source struct {
	stem string
	emit func(*asm)
}

// sources are all files.
func sources() []source {
	s := []source{
		{"act", emitQuantize},
		{"tile", emitTile},
		{"dot_plain", emitPlain},
		{"vector", emitVector},
		{"softmax", emitSoftmax},
		{"rope", emitRope},
		{"half", emitHalf},
		{"attention", emitAttention},
		{"attention_q8", emitAttentionQ8},
		{"attention_tile", emitAttentionTile},
		{"probe", emitProbe},
	}
	at := map[string]int{}
	for _, f := range formats {
		i, ok := at[f.stem]
		if !ok {
			at[f.stem] = len(s)
			s = append(s, source{f.stem, f.emit})
			continue
		}
		first := s[i].emit
		s[i].emit = func(a *asm) { first(a); f.emit(a) }
	}
	return s
}

func main() {
	dir := "../.."
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	for _, s := range sources() {
		a := newAsm()
		s.emit(a)
		for suffix, text := range map[string]string{".s": a.assembly(), ".go": a.stubs()} {
			if err := os.WriteFile(filepath.Join(dir, s.stem+"_arm64"+suffix), []byte(text), 0o644); err != nil {
				log.Fatal(err)
			}
		}
	}
}
