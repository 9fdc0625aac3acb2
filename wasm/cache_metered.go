package wasm

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sandwarp/sandwarp/wasm/internal/binary"
	"github.com/sandwarp/sandwarp/wasm/internal/meter"
)

// keepsMetered says whether a module's metered form is kept in the cache: that of large
// ones, as to check and to meter them takes half of the time a cached plugin needs to
// load.
func keepsMetered(module []byte, dir string) bool { return dir != "" && len(module) >= 256<<10 }

// rewrite meters a module. One that is kept in the cache was checked before, so its
// code need not have been.
func rewrite(m *binary.Module, lim binary.Limits, hash [32]byte, o meter.Options, dir string) (*meter.Result, error) {
	if !keepsMetered(m.Bytes, dir) {
		return meter.Rewrite(m, o)
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%x %d %d %+v %+v", hash, binary.Version, meter.Version, lim, o))
	if r := readMetered(dir, key); r != nil {
		return r, nil
	}
	if err := m.CheckCode(); err != nil {
		return nil, err
	}
	r, err := meter.Rewrite(m, o)
	if err == nil && cacheable(dir) {
		writeMetered(dir, key, r)
	}
	return r, err
}

// A metered file is a SHA-256, and what it is of besides its key: a line of JSON and the
// module.
func readMetered(dir string, key [sha256.Size]byte) *meter.Result {
	path := meteredPath(dir, key)
	if info, err := os.Stat(dir); err != nil || !ours(info) {
		return nil
	}
	b, err := readPlain(path, maxCode)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && len(b) >= sha256.Size {
		if sum := sealOf(key, b[sha256.Size:]); bytes.Equal(sum, b[:sha256.Size]) {
			head, module, _ := bytes.Cut(b[sha256.Size:], []byte("\n"))
			r := &meter.Result{}
			if json.Unmarshal(head, r) == nil {
				r.Bytes = module
				return r
			}
		}
	}
	_ = os.RemoveAll(path)
	return nil
}

func meteredPath(dir string, key [sha256.Size]byte) string {
	return filepath.Join(dir, hex.EncodeToString(key[:16])+".metered")
}

func sealOf(key [sha256.Size]byte, content []byte) []byte {
	h := sha256.New()
	h.Write(key[:])
	h.Write(content)
	return h.Sum(nil)
}

func writeMetered(dir string, key [sha256.Size]byte, r *meter.Result) {
	head, err := json.Marshal(r)
	if err != nil {
		return
	}
	b := append(append(head, '\n'), r.Bytes...)
	f, err := os.CreateTemp(dir, freshPrefix+"*")
	if err != nil {
		return
	}
	_, err1 := f.Write(sealOf(key, b))
	_, err2 := f.Write(b)
	if errors.Join(err1, err2, f.Close()) != nil || os.Rename(f.Name(), meteredPath(dir, key)) != nil {
		_ = os.Remove(f.Name())
	}
}
