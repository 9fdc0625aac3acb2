//go:build ignore

// Gen writes unicode.h: the class of every character, in two stages.
package main

import (
	"bytes"
	"fmt"
	"os"
	"unicode"
)

func class(r rune) byte {
	switch {
	case unicode.IsLetter(r):
		return 1
	case unicode.IsNumber(r):
		return 2
	case unicode.IsSpace(r):
		return 3
	}
	return 0
}

func main() {
	var b bytes.Buffer
	fmt.Fprintf(&b, "/* Made by gen.go from Unicode %s: do not edit. Two bits a character: 0 other,\n * 1 letter (L), 2 number (N), 3 white space. */\n#ifndef UNICODE_H\n#define UNICODE_H\n\n", unicode.Version)
	var blocks [][64]byte
	known := map[[64]byte]int{}
	var index []int
	for from := rune(0); from < 0x110000; from += 256 {
		var block [64]byte
		for i := rune(0); i < 256; i++ {
			block[i/4] |= class(from+i) << (i % 4 * 2)
		}
		k, ok := known[block]
		if !ok {
			k = len(blocks)
			known[block] = k
			blocks = append(blocks, block)
		}
		index = append(index, k)
	}
	fmt.Fprintf(&b, "static const uint8_t unicode_block[%d] = {", len(index))
	for i, k := range index {
		if i%32 == 0 {
			b.WriteString("\n    ")
		}
		fmt.Fprintf(&b, "%d,", k)
	}
	fmt.Fprintf(&b, "\n};\nstatic const uint8_t unicode_bits[%d][64] = {\n", len(blocks))
	for _, block := range blocks {
		b.WriteString("    {")
		for _, x := range block {
			fmt.Fprintf(&b, "%d,", x)
		}
		b.WriteString("},\n")
	}
	b.WriteString("};\n\n#endif\n")
	if len(blocks) > 256 {
		panic("more than 256 blocks")
	}
	if err := os.WriteFile("unicode.h", b.Bytes(), 0o644); err != nil {
		panic(err)
	}
}
