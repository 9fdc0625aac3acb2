package gguf

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unsafe"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.gguf")
	data := ownFile(t)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if f.Name != path || f.Size() != int64(len(data)) {
		t.Errorf("name %q, size %d", f.Name, f.Size())
	}
	first := f.Tensors()[0]
	if !bytes.Equal(f.Data(first), ramp(first.Bytes(), 0)) {
		t.Error("the data differs")
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if f.Data(first) != nil {
		t.Error("a closed file gave out a view")
	}
	if _, err := Open(filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Error(err)
	}
}

// TestParseAligns: views are aligned wherever the caller's bytes begin, and are
// views of those bytes where they can be.
func TestParseAligns(t *testing.T) {
	data := ownFile(t)
	for shift := range 9 {
		moved := append(make([]byte, shift, len(data)+shift), data...)[shift:]
		f, err := Parse("m", moved)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range f.Tensors() {
			view := f.Data(x)
			if uintptr(unsafe.Pointer(&view[0]))%8 != 0 {
				t.Errorf("shifted by %d: the data of %s is not aligned", shift, x.Name)
			}
			if shift%8 == 0 && &view[0] != &moved[x.Offset] {
				t.Errorf("shifted by %d: the data of %s is a copy", shift, x.Name)
			}
		}
	}
}

// TestNothingLeaks opens good and bad files many times and counts what is left of
// descriptors and mappings.
func TestNothingLeaks(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("counts in /proc")
	}
	path := filepath.Join(t.TempDir(), "leak-check.gguf")
	count := func() (fds, maps int) {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		text, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Skip(err)
		}
		return len(list), strings.Count(string(text), filepath.Base(path))
	}
	data := ownFile(t)
	fds, _ := count()
	for i := range 200 {
		if err := os.WriteFile(path, data[:len(data)*i/199], 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if (err == nil) != (i == 199) {
			t.Fatal(err)
		}
		if i == 199 {
			if _, maps := count(); maps == 0 {
				t.Error("an open file has no mapping: this test sees none")
			}
			f.Close()
		}
	}
	if now, maps := count(); now > fds || maps != 0 {
		t.Errorf("%d descriptors, %d before; %d mappings left", now, fds, maps)
	}
}

// TestLikeness: a file of another kind is told by its name, with what to do.
func TestLikeness(t *testing.T) {
	for head, want := range map[string]string{
		"version https://git-lfs.github.com/spec/v1\noid sha256:0": "git lfs pull",
		"\n <!DOCTYPE html><html>":                                 "web page",
		"PK\x03\x04\x00\x00\x08\x08\x00\x00":                       "zip archive",
		"\x40\x00\x00\x00\x00\x00\x00\x00{\"__metadata__\":{}}":    "safetensors",
		"tjgg\x03\x00\x00\x00\x00\x7d":                             "before GGUF",
		"\x7fELF\x02":                                              `begins with "\x7fELF"`,
		"G":                                                        "truncated",
		"GGU":                                                      "truncated",
		"GGX":                                                      `begins with "GGX"`,
		"GGUF\x00\x00\x00\x00":                                     "version 0 is not supported",
		"GGUF\x01\x00\x00\x00":                                     "version 1 is not supported",
		"GGUF\x04\x00\x00\x00":                                     "version 4 is not supported",
		"GGUF\x00\x00\x00\x03":                                     "big-endian",
		"GGUF\x00\x00\x00\x01":                                     "big-endian",
	} {
		_, err := Parse("m", []byte(head))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", head, err, want)
			continue
		}
		wellSaid(t, err)
	}
}
