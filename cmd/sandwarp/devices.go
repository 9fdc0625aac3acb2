package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sandwarp/sandwarp/cpubackend"
	sandwarp "github.com/sandwarp/sandwarp/runtime"
)

func devicesCommand(io streams) *cobra.Command {
	return &cobra.Command{
		Use:     "devices",
		Short:   "Show what this machine can run models on",
		Example: "  sandwarp devices",
		Args:    args(0, 0),
		RunE: func(*cobra.Command, []string) error {
			if _, err := fmt.Fprintf(io.out, "cpu  %s, %d threads, kernels %s\n",
				cpubackend.CPUName(), cpubackend.DefaultThreads(), cpubackend.Features()); err != nil {
				return err
			}
			if err := listGPUs(io.out); err != nil {
				return err
			}
			_, err := fmt.Fprintf(io.out, "backends linked in: %s\n", strings.Join(sandwarp.Backends(), ", "))
			return err
		},
	}
}
