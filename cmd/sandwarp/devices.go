package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sandwarp/sandwarp/cpubackend"
	sandwarp "github.com/sandwarp/sandwarp/runtime"
)

func devicesCommand(io streams) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "devices",
		Short: "Show what this machine can run models on",
		Long: `devices shows the processor and the instruction set its kernels use, of those there
are, the GPUs, and the backends of this program. SANDWARP_CPU=avx2, say, holds the
kernels to another instruction set.`,
		Example: `  sandwarp devices
  SANDWARP_CPU=avx2 sandwarp devices --json`,
		Args: args(0, 0),
		RunE: func(*cobra.Command, []string) error {
			d := findDevices()
			if !asJSON {
				return d.print(io.out)
			}
			enc := json.NewEncoder(io.out)
			enc.SetIndent("", "  ")
			enc.SetEscapeHTML(false)
			return enc.Encode(d)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// devices is what --json prints.
type devices struct {
	CPU struct {
		Name      string   `json:"name"`
		Threads   int      `json:"threads"` // workers by default
		Kernels   string   `json:"kernels"` // the instruction set in use
		Supported []string `json:"supported"`
		Ignored   string   `json:"ignored,omitempty"` // why SANDWARP_CPU is not obeyed
	} `json:"cpu"`
	GPUs     []gpu    `json:"gpus"`
	NoGPU    string   `json:"no_gpu,omitempty"` // why there is none
	Backends []string `json:"backends"`
}

// gpu is a GPU that the driver lists.
type gpu struct {
	Number     int    `json:"number"`
	Name       string `json:"name"`
	SMs        int    `json:"multiprocessors"`
	Memory     int64  `json:"memory_bytes"`
	Capability string `json:"compute_capability"`
	Kernels    string `json:"kernels,omitempty"` // for which architecture; none if it is not usable
	Driver     string `json:"driver"`
}

func findDevices() (d devices) {
	d.CPU.Name, d.CPU.Threads = cpubackend.CPUName(), cpubackend.DefaultThreads()
	d.CPU.Kernels, d.CPU.Supported = cpubackend.InstructionSets()
	if err := cpubackend.Ignored(); err != nil {
		d.CPU.Ignored = err.Error()
	}
	d.GPUs, d.NoGPU = findGPUs()
	if d.GPUs == nil {
		d.GPUs = []gpu{} // [] and not null in JSON
	}
	d.Backends = sandwarp.Backends()
	return d
}

func (d *devices) print(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "cpu  %s, %d threads, kernels %s of %s\n", d.CPU.Name, d.CPU.Threads, d.CPU.Kernels, strings.Join(d.CPU.Supported, ", "))
	if d.CPU.Ignored != "" {
		fmt.Fprintf(&b, "     SANDWARP_CPU is ignored: %s\n", d.CPU.Ignored)
	}
	for _, g := range d.GPUs {
		kernels := "kernels " + g.Kernels
		if g.Kernels == "" {
			kernels = "not usable: compute capability 8.0 is needed"
		}
		fmt.Fprintf(&b, "ptx  %d: %s, %d multiprocessors, %d MiB, capability %s, %s, driver %s\n",
			g.Number, g.Name, g.SMs, g.Memory>>20, g.Capability, kernels, g.Driver)
	}
	if d.NoGPU != "" {
		fmt.Fprintf(&b, "ptx  no GPU: %s\n", d.NoGPU)
	}
	fmt.Fprintf(&b, "backends linked in: %s\n", strings.Join(d.Backends, ", "))
	_, err := io.WriteString(out, b.String())
	return err
}
