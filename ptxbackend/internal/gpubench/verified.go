package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
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
	Checks    []string `json:"checks"` // "float64", "memcheck", ...
}

// check is one that ran, and the hashes of the texts that passed it.
type check struct {
	name   string
	passed map[string]bool
}

// parseChecks reads "name=file,...". Lines of files are those of tests' rigs: hash,
// kernel, target and device; what ran on another device does not count.
func parseChecks(list, device string) ([]check, error) {
	var all []check
	for _, s := range strings.Split(list, ",") {
		name, file, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("-checks: %q is not name=file", s)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("-checks: %s: %w", name, err)
		}
		c := check{name, map[string]bool{}}
		for n, line := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
			fields := strings.SplitN(line, " ", 4)
			if len(fields) < 4 || len(fields[0]) != 64 {
				return nil, fmt.Errorf("%s, line %d: %q is not a hash, a kernel, a target and a device", file, n+1, line)
			}
			if fields[3] == device {
				c.passed[fields[0]] = true
			}
		}
		all = append(all, c)
	}
	return all, nil
}

// writeVerified compiles each kernel whose text passed a check and adds the text to
// the file, with the checks it passed. Other texts are not touched.
func (b *bench) writeVerified(file, list string) error {
	checks, err := parseChecks(list, b.Dev.Info().Name)
	if err != nil {
		return err
	}
	all := map[string]entry{}
	if data, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(data, &all); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	n, texts := 0, 0
	for _, c := range kernels.All() {
		for _, target := range kernels.TargetsOf(c) {
			texts++
			hash, e, err := b.entry(c, target, checks)
			if err != nil {
				return fmt.Errorf("%s for %s: %w", c.Name(), target.Arch, err)
			}
			if len(e.Checks) > 0 {
				all[hash] = e
				n++
			}
		}
	}
	data, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	fmt.Printf("%d of %d kernel texts passed checks on this device and are written down in %s\n", n, texts, file)
	return os.WriteFile(file, append(data, '\n'), 0o644)
}

// entry is that of c's text, without checks if it passed none.
func (b *bench) entry(c kernels.Config, target ptx.Target, checks []check) (string, entry, error) {
	k, err := c.Build(target)
	if err != nil {
		return "", entry{}, err
	}
	m := &ptx.Module{Target: target, Kernels: []*ptx.Kernel{k}}
	hash := m.Hash()
	e := entry{Kernel: c.Name(), Target: target.Arch, Device: b.Dev.Info().Name, Driver: b.about, Date: time.Now().UTC().Format("2006-01-02")}
	for _, check := range checks {
		if check.passed[hash] && !slices.Contains(e.Checks, check.name) {
			e.Checks = append(e.Checks, check.name)
		}
	}
	if len(e.Checks) == 0 {
		return hash, e, nil
	}
	r, err := b.resources(m, k)
	e.Registers, e.Shared, e.Local = r.Registers, r.Shared, r.Local
	return hash, e, err
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
