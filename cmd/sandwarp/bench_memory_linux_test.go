package main

import (
	"strings"
	"testing"
)

func TestReadSmaps(t *testing.T) {
	const text = `00400000-01000000 r-xp 00000000 fe:00 77 /usr/bin/sandwarp
Size:              12288 kB
Rss:                 100 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
7f0000000000-7f0020000000 r--s 00000000 fe:00 78 /models/a b.gguf
Rss:                4000 kB
7f0020000000-7f0040000000 r--s 20000000 fe:00 78 /models/a b.gguf
Rss:                 500 kB
c000000000-c000400000 rw-p 00000000 00:00 0
Rss:                  30 kB
`
	got, err := readSmaps(strings.NewReader(text), "/models/a b.gguf")
	if want := (resident{total: 4630 << 10, file: 4500 << 10}); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if got, err := readSmaps(strings.NewReader(text), ""); err != nil || got.file != 0 {
		t.Errorf("without a file: %+v, %v", got, err)
	}
	if _, err := readSmaps(strings.NewReader("nonsense"), "x"); err == nil {
		t.Error("nothing resident is no error")
	}
}
