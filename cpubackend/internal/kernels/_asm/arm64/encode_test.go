package main

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Every encoded word is what its comment says, to a disassembler of somebody
// else's.
func TestWordsAgainstDisassembler(t *testing.T) {
	tool, err := exec.LookPath("aarch64-linux-gnu-objdump")
	if err != nil {
		t.Skip("no aarch64-linux-gnu-objdump (Debian: binutils-aarch64-linux-gnu)")
	}
	seen := map[uint32]string{}
	var code []byte
	var want []string
	for _, s := range sources() {
		a := newAsm()
		s.emit(a)
		for _, w := range a.words {
			if was, ok := seen[w.code]; ok {
				if was != w.text {
					t.Fatalf("%#08x is %q and %q", w.code, was, w.text)
				}
				continue
			}
			seen[w.code] = w.text
			code = binary.LittleEndian.AppendUint32(code, w.code)
			want = append(want, w.text)
		}
	}
	file := filepath.Join(t.TempDir(), "words")
	if err := os.WriteFile(file, code, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, "-D", "-b", "binary", "-m", "aarch64", "-z", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	for _, line := range strings.Split(string(out), "\n") {
		f := strings.SplitN(line, "\t", 3)
		if len(f) < 3 {
			continue
		}
		got, _, _ := strings.Cut(strings.ReplaceAll(f[2], "\t", " "), " //")
		if i >= len(want) || got != want[i] {
			t.Fatalf("word %d (%s) is %q, its comment says %q", i, f[1], got, want[i])
		}
		i++
	}
	if i != len(want) || i < 500 {
		t.Fatalf("%d of %d words disassembled", i, len(want))
	}
	t.Logf("%d different words", i)
}

// What needs an extension is only in functions named for it.
func TestExtensionsStayInTheirFunctions(t *testing.T) {
	for _, s := range sources() {
		a := newAsm()
		s.emit(a)
		name := ""
		for _, line := range strings.Split(a.assembly(), "\n") {
			if f, ok := strings.CutPrefix(line, "TEXT ·"); ok {
				name, _, _ = strings.Cut(f, "(")
			}
			if strings.Contains(line, "// smmla ") && !strings.HasSuffix(name, "I8MM") {
				t.Errorf("%s uses smmla", name)
			}
			if strings.Contains(line, "// sdot ") && !strings.HasSuffix(name, "DotProd") {
				t.Errorf("%s uses sdot", name)
			}
		}
	}
}
