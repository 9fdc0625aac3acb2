package cuda

import (
	"os"
	"path/filepath"
)

// Compiled kernels are kept on disk by the driver itself, keyed by text, driver
// and device, up to CUDA_CACHE_MAXSIZE with the longest unused going first.
//
// The other way, to have cuLink* compile the text and to keep the cubin it returns,
// was measured and left: what it compiles is relocatable, and ptxas 13.0 then gives
// the decode attention of an 8B model 255 registers with spills instead of 157
// without (sm_80), the Q6_K embedding 79 instead of 50, and a rotation 13% more
// instructions.

// keepCompiled makes the driver keep compiled kernels in the folder of this
// program's caches, unless the environment says where, or whether. It speaks to
// the driver by the environment: there is no other way. Where the folder cannot be
// made, the driver uses its own (~/.nv/ComputeCache).
func keepCompiled() {
	for _, name := range []string{"CUDA_CACHE_PATH", "CUDA_CACHE_DISABLE"} {
		if _, set := os.LookupEnv(name); set {
			return
		}
	}
	root := os.Getenv("SANDWARP_CACHE")
	switch root {
	case "off":
		_ = os.Setenv("CUDA_CACHE_DISABLE", "1")
		return
	case "":
		dir, err := os.UserCacheDir()
		if err != nil {
			return
		}
		root = filepath.Join(dir, "sandwarp")
	}
	dir, err := filepath.Abs(filepath.Join(root, "cubin"))
	if err == nil && os.MkdirAll(dir, 0o700) == nil {
		_ = os.Setenv("CUDA_CACHE_PATH", dir)
	}
}
