package main

import "testing"

func TestPrintable(t *testing.T) {
	if got := printable("a\x1b[2Jb\tc\n\u009b31m\x07é世"); got != "a\ufffd[2Jb\tc\n\ufffd31m\ufffdé世" {
		t.Errorf("%q", got)
	}
}
