package kernels

import (
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// openDevice returns the device kernels are tested on.
func openDevice(t testing.TB, target ptx.Target) driver.Device {
	t.Helper()
	return nil
}

// checkText has the verifier and the assembler read the module.
func checkText(t testing.TB, m *ptx.Module) {
	t.Helper()
	assemble(t, m)
}

var spills = regexp.MustCompile(`([1-9][0-9]*) bytes spill`)

// resources is the line of what a kernel takes.
var resources = regexp.MustCompile(`(Compiling entry function .*|Used .*)`)

// assembled are the texts ptxas has accepted, by hash.
var assembled sync.Map

// assemble has ptxas compile the module where there is one (SANDWARP_PTXAS, or on
// the PATH), and fails if it refuses it or spills registers.
func assemble(t testing.TB, m *ptx.Module) {
	t.Helper()
	ptxas := os.Getenv("SANDWARP_PTXAS")
	if ptxas == "" {
		var err error
		if ptxas, err = exec.LookPath("ptxas"); err != nil {
			return
		}
	}
	text := m.String()
	hash := sha256.Sum256([]byte(text))
	if _, done := assembled.Load(hash); done {
		return
	}
	file := filepath.Join(t.TempDir(), "k.ptx")
	must(t, os.WriteFile(file, []byte(text), 0o644))
	out, err := exec.Command(ptxas, "-v", "-arch="+m.Target.Arch, file, "-o", os.DevNull).CombinedOutput()
	if err != nil {
		t.Fatalf("ptxas: %v\n%s", err, out)
	}
	if spills.Match(out) {
		t.Errorf("%s: registers are spilled\n%s", m.Kernels[0].Name, out)
	}
	t.Logf("%s", resources.FindAll(out, -1))
	assembled.Store(hash, true)
}
