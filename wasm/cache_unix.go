//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package wasm

import (
	"io/fs"
	"os"
	"syscall"
)

// ours says whether nobody else can write to a folder, its owner being this process's
// user or the system's.
func ours(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode()&0o002 == 0 && (int(st.Uid) == os.Geteuid() || st.Uid == 0)
}
