package cuda

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	maxCubin   = 64 << 20  // of one module; real ones take some 100 KiB
	cacheBytes = 256 << 20 // of all, before the longest unused are removed
	cacheExt   = ".cubin"
	staleAfter = time.Hour // a file that was begun and left
)

// cubinCache keeps compiled modules in a folder. A file is named by everything the
// code depends on and holds the code and its SHA-256; it is written under another
// name and renamed. A broken cache costs time, never correctness. It does not
// defend against someone who can write to the user's own files.
type cubinCache struct {
	dir   string
	scope string // driver and device
	most  int64  // bytes to keep
}

// openCubinCache names the folder; nil if there is to be none.
func openCubinCache(scope string) *cubinCache {
	root := os.Getenv("SANDWARP_CACHE")
	switch root {
	case "off":
		return nil
	case "":
		dir, err := os.UserCacheDir()
		if err != nil {
			return nil
		}
		root = filepath.Join(dir, "sandwarp")
	}
	return &cubinCache{dir: filepath.Join(root, "cubin"), scope: scope, most: cacheBytes}
}

// key names the code a text becomes.
func (k *cubinCache) key(source string) string {
	h := sha256.New()
	h.Write([]byte(k.scope + "\n\n" + source))
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func (k *cubinCache) path(key string) string { return filepath.Join(k.dir, key+cacheExt) }

// read returns the code, or nil if it is not there or not what was written; what
// is not is removed.
func (k *cubinCache) read(key string) []byte {
	path := k.path(key)
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	var b []byte
	if n := info.Size(); info.Mode().IsRegular() && n > sha256.Size && n <= maxCubin+sha256.Size {
		b, _ = os.ReadFile(path)
	}
	n := len(b) - sha256.Size
	if n <= 0 || sha256.Sum256(b[:n]) != [sha256.Size]byte(b[n:]) {
		k.remove(key)
		return nil
	}
	now := time.Now()
	_ = os.Chtimes(path, now, now) // the longest unused goes first
	return b[:n]
}

func (k *cubinCache) remove(key string) { _ = os.Remove(k.path(key)) }

// write keeps code if it can.
func (k *cubinCache) write(key string, cubin []byte) {
	if os.MkdirAll(k.dir, 0o700) != nil {
		return
	}
	f, err := os.CreateTemp(k.dir, "new-*")
	if err != nil {
		return
	}
	sum := sha256.Sum256(cubin)
	_, err1 := f.Write(cubin)
	_, err2 := f.Write(sum[:])
	if errors.Join(err1, err2, f.Close()) != nil || os.Rename(f.Name(), k.path(key)) != nil {
		_ = os.Remove(f.Name())
		return
	}
	k.evict(key)
}

// evict removes the longest unused files until the rest is small enough; that of
// key stays.
func (k *cubinCache) evict(key string) {
	entries, err := os.ReadDir(k.dir)
	if err != nil {
		return
	}
	var files []fs.FileInfo
	var bytes int64
	for _, e := range entries {
		info, err := e.Info()
		switch {
		case err != nil || !info.Mode().IsRegular():
		case strings.HasSuffix(e.Name(), cacheExt):
			bytes += info.Size()
			files = append(files, info)
		case strings.HasPrefix(e.Name(), "new-") && time.Since(info.ModTime()) > staleAfter:
			_ = os.Remove(filepath.Join(k.dir, e.Name()))
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), cmp.Compare(a.Name(), b.Name()))
	})
	for _, f := range files {
		if bytes <= k.most {
			return
		}
		if f.Name() != key+cacheExt && os.Remove(filepath.Join(k.dir, f.Name())) == nil {
			bytes -= f.Size()
		}
	}
}
