package wasm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/cpu"

	"github.com/sandwarp/sandwarp/wasm/internal/binary"
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
// its files, and renamed; before use the hash is checked, and a folder that
// fails is removed. A broken cache costs time, never correctness. It does not
// defend against someone who can write to the user's own files.
func compile(ctx context.Context, e Engine, module []byte, imports []HostFunc, dir string) (Module, error) {
	if dir == "" {
		return e.Compile(ctx, module, imports, "")
	}
	entry := filepath.Join(dir, cacheKey(e, module))
	if sealed(entry) {
		if m, err := e.Compile(ctx, module, imports, entry); err == nil {
			return m, nil
		}
		_ = os.RemoveAll(entry)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return e.Compile(ctx, module, imports, "")
	}
	fresh, err := os.MkdirTemp(dir, "new-*")
	if err != nil {
		return e.Compile(ctx, module, imports, "")
	}
	m, err := e.Compile(ctx, module, imports, fresh)
	if err != nil || !keep(fresh, entry) {
		_ = os.RemoveAll(fresh)
	}
	return m, err
}

// keep seals a folder and gives it its name.
func keep(fresh, entry string) bool {
	sum, n, err := hashDir(fresh)
	if err != nil || n == 0 {
		return false
	}
	if err := os.WriteFile(filepath.Join(fresh, sealName), []byte(sum), 0o600); err != nil {
		return false
	}
	_ = os.RemoveAll(entry) // one that failed its check
	return os.Rename(fresh, entry) == nil
}

// sealed says whether a folder is there and is what was written. One that is
// not is removed.
func sealed(entry string) bool {
	want, err := os.ReadFile(filepath.Join(entry, sealName))
	if err != nil {
		return false
	}
	if sum, _, err := hashDir(entry); err == nil && sum == string(want) {
		return true
	}
	_ = os.RemoveAll(entry)
	return false
}

// hashDir hashes names and contents of a folder's files, the seal left out.
func hashDir(dir string) (sum string, files int, err error) {
	h := sha256.New()
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == sealName {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		info, err := d.Info()
		if err != nil || !info.Mode().IsRegular() {
			return fmt.Errorf("%s is not a plain file", path)
		}
		fmt.Fprintf(h, "%q %d\n", filepath.ToSlash(rel), info.Size())
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		files++
		_, err = io.Copy(h, f)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)), files, err
}

// rewrite meters a module. Large ones are kept in the cache, sealed, as rewriting
// takes half of the time a cached plugin needs to load.
func rewrite(m *binary.Module, hash [32]byte, o meter.Options, dir string) (*meter.Result, error) {
	if dir == "" || len(m.Bytes) < 256<<10 {
		return meter.Rewrite(m, o)
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%x %d %+v", hash, meter.Version, o))
	path := filepath.Join(dir, hex.EncodeToString(key[:16])+".metered")
	if r := readMetered(path); r != nil {
		return r, nil
	}
	r, err := meter.Rewrite(m, o)
	if err == nil {
		writeMetered(dir, path, r)
	}
	return r, err
}

// A metered file is a SHA-256, and what it is of: a line of JSON and the module.
func readMetered(path string) *meter.Result {
	b, err := os.ReadFile(path)
	if err != nil || len(b) < sha256.Size {
		return nil
	}
	if sum := sha256.Sum256(b[sha256.Size:]); !bytes.Equal(sum[:], b[:sha256.Size]) {
		_ = os.Remove(path)
		return nil
	}
	head, module, _ := bytes.Cut(b[sha256.Size:], []byte("\n"))
	r := &meter.Result{}
	if json.Unmarshal(head, r) != nil {
		return nil
	}
	r.Bytes = module
	return r
}

func writeMetered(dir, path string, r *meter.Result) {
	head, err := json.Marshal(r)
	if err != nil || os.MkdirAll(dir, 0o700) != nil {
		return
	}
	b := append(append(head, '\n'), r.Bytes...)
	sum := sha256.Sum256(b)
	f, err := os.CreateTemp(dir, "new-*")
	if err != nil {
		return
	}
	_, err1 := f.Write(sum[:])
	_, err2 := f.Write(b)
	if errors.Join(err1, err2, f.Close()) != nil || os.Rename(f.Name(), path) != nil {
		_ = os.Remove(f.Name())
	}
}

// cacheKey names everything compiled code depends on.
func cacheKey(e Engine, module []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%d\n%s %s %s\n%v %v\n", e.Name(), meter.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH, cpu.X86, cpu.ARM64)
	h.Write(module)
	return hex.EncodeToString(h.Sum(nil)[:16])
}
