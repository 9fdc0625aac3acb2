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
		Args:    args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(io.out, "cpu  %s, %d threads, kernels %s\nbackends linked in: %s\n",
				cpubackend.CPUName(), cpubackend.DefaultThreads(), cpubackend.Features(), strings.Join(sandwarp.Backends(), ", "))
			return err
		},
	}
}
