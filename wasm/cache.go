package wasm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/cpu"

	"github.com/sandwarp/sandwarp/wasm/internal/meter"
)

// DefaultCacheDir is the user's usual place for compiled plugins, empty if the
// system names none.
func DefaultCacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "sandwarp", "plugins")
}

// sealName is the file beside the engine's that holds the hash of their bytes.
const sealName = "seal.sha256"

// compile compiles a module, through the cache in dir unless that is empty.
//
// A cached module lies in a folder of its own, named by everything the code
// depends on. The folder is written under another name, sealed with a hash over
// its name and its files, and renamed; before use the hash is checked, and a folder
// that fails is removed. A broken cache costs time, never correctness. It does not
// defend against someone who can write to the user's own files; a cache that others
// can write to is not used.
func compile(ctx context.Context, e Engine, module []byte, imports []HostFunc, dir string) (Module, error) {
	if dir == "" || !cacheable(dir) {
		return e.Compile(ctx, module, imports, "")
	}
	entry := filepath.Join(dir, cacheKey(e, module))
	if sealed(entry) {
		if m, err := e.Compile(ctx, module, imports, entry); err == nil {
			return m, nil
		}
		_ = os.RemoveAll(entry)
	}
	fresh, err := os.MkdirTemp(dir, freshPrefix+"*")
	if err != nil {
		return e.Compile(ctx, module, imports, "")
	}
	m, err := e.Compile(ctx, module, imports, fresh)
	if err != nil || !keep(fresh, entry) {
		_ = os.RemoveAll(fresh)
	}
	sweep(dir, time.Now())
	return m, err
}

// cacheable makes the cache's folder, unless it is there, and says whether it may be
// used.
func cacheable(dir string) bool {
	if os.MkdirAll(dir, 0o700) != nil {
		return false
	}
	info, err := os.Stat(dir)
	return err == nil && info.IsDir() && ours(info)
}

// freshPrefix begins the names of what is being written.
const freshPrefix = "new-"

// sweep removes what was begun a day ago and never finished.
func sweep(dir string, now time.Time) {
	left, _ := filepath.Glob(filepath.Join(dir, freshPrefix+"*"))
	for _, path := range left {
		if info, err := os.Lstat(path); err == nil && now.Sub(info.ModTime()) > 24*time.Hour {
			_ = os.RemoveAll(path)
		}
	}
}

// keep seals a folder and gives it its name, unless another process was faster.
func keep(fresh, entry string) bool {
	sum, n, err := hashDir(fresh, filepath.Base(entry))
	if err != nil || n == 0 {
		return false
	}
	if err := os.WriteFile(filepath.Join(fresh, sealName), []byte(sum), 0o600); err != nil {
		return false
	}
	if os.Rename(fresh, entry) == nil {
		return true
	}
	if sealed(entry) {
		return false
	}
	_ = os.RemoveAll(entry) // one that failed its check
	return os.Rename(fresh, entry) == nil
}

// sealed says whether a folder is there and is what was written under its name. One
// that is not is removed.
func sealed(entry string) bool {
	if _, err := os.Lstat(entry); err != nil {
		return false
	}
	want, err := readPlain(filepath.Join(entry, sealName), 2*sha256.Size)
	if err == nil {
		if sum, _, err := hashDir(entry, filepath.Base(entry)); err == nil && sum == string(want) {
			return true
		}
	}
	_ = os.RemoveAll(entry)
	return false
}

// maxCode is the most a cached module may take: more than engines make of the largest.
const maxCode = 1 << 30

// hashDir hashes a folder's name, and names and contents of its files, the seal left
// out.
func hashDir(dir, name string) (sum string, files int, err error) {
	h := sha256.New()
	fmt.Fprintf(h, "%q\n", name)
	total := int64(0)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == sealName {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		info, err := d.Info()
		if err != nil || !info.Mode().IsRegular() {
			return fmt.Errorf("%s is not a plain file", path)
		}
		if total += info.Size(); total > maxCode {
			return fmt.Errorf("%s has more than %d bytes of code", dir, maxCode)
		}
		fmt.Fprintf(h, "%q %d\n", filepath.ToSlash(rel), info.Size())
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		files++
		_, err = io.CopyN(h, f, info.Size())
		return err
	})
	return hex.EncodeToString(h.Sum(nil)), files, err
}

// readPlain reads a plain file of at most max bytes: nothing that blocks or never ends.
func readPlain(path string, max int64) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > max {
		return nil, fmt.Errorf("%s is no plain file of at most %d bytes", path, max)
	}
	return os.ReadFile(path)
}

// cacheKey names everything compiled code depends on.
func cacheKey(e Engine, module []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%d\n%s %s %s\n%v %v\n", e.Name(), meter.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH, cpu.X86, cpu.ARM64)
	h.Write(module)
	return hex.EncodeToString(h.Sum(nil)[:16])
}
