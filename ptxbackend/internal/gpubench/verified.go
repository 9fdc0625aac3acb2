package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/kernels"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// entry says what is known of a kernel's text; the file maps the hashes of texts to
// entries.
type entry struct {
	Kernel    string   `json:"kernel"`
	Target    string   `json:"target"`
	Registers int      `json:"registers"`
	Shared    int      `json:"shared"` // bytes
	Local     int      `json:"local"`  // bytes a thread; 0: nothing is spilled
	Device    string   `json:"device"`
	Driver    string   `json:"driver"`
	Date      string   `json:"date"`
	Checks    []string `json:"checks"` // "float64", "emulator", "memcheck", ...
}

// writeVerified compiles every kernel on the device and adds its text to the file.
func (b *bench) writeVerified(file, checks string) error {
	all := map[string]entry{}
	if data, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(data, &all); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	n := 0
	for _, c := range kernels.All() {
		for _, target := range kernels.TargetsOf(c) {
			if target.Hopper() && !b.Target.Hopper() {
				continue
			}
			k, err := c.Build(target)
			if err != nil {
				return err
			}
			m := &ptx.Module{Target: target, Kernels: []*ptx.Kernel{k}}
			r, err := b.resources(m, k)
			if err != nil {
				return fmt.Errorf("%s for %s: %w", c.Name(), target.Arch, err)
			}
			all[m.Hash()] = entry{Kernel: c.Name(), Target: target.Arch, Registers: r.Registers, Shared: r.Shared, Local: r.Local,
				Device: b.Dev.Info().Name, Driver: b.about, Date: time.Now().UTC().Format("2006-01-02"), Checks: strings.Split(checks, ",")}
			n++
		}
	}
	data, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	fmt.Printf("%d kernel texts compiled and written down in %s\n", n, file)
	return os.WriteFile(file, append(data, '\n'), 0o644)
}

func (b *bench) resources(m *ptx.Module, k *ptx.Kernel) (driver.Resources, error) {
	mod, err := b.Dev.Load(m)
	if err != nil {
		return driver.Resources{}, err
	}
	defer mod.Unload()
	f, err := mod.Function(k)
	if err != nil {
		return driver.Resources{}, err
	}
	return f.Resources(), nil
}
