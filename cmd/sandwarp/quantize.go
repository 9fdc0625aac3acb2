package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/quantize"
)

func quantizeCommand(io streams) *cobra.Command {
	var o quantize.Options
	cmd := &cobra.Command{
		Use:   "quantize IN OUT TYPE",
		Short: "Write a model with smaller weights",
		Long: `quantize reads the GGUF model IN, converts its weight matrices to TYPE and writes
OUT. Types: ` + strings.Join(quantize.Names(), " ") + `.`,
		Example: `  sandwarp quantize model-f16.gguf model-q8.gguf Q8_0
  sandwarp quantize model-f16.gguf model-q4.gguf Q4_K_M`,
		Args: args(3, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			return quantizeFile(cmd.Context(), io, args[0], args[1], args[2], o)
		},
	}
	cmd.Flags().IntVarP(&o.Threads, "threads", "t", 0, "CPU workers; 0 means one per core")
	cmd.Flags().BoolVar(&o.AllowRequantize, "allow-requantize", false, "accept an input that is quantised already; it loses quality twice")
	return cmd
}

func quantizeFile(ctx context.Context, io streams, in, out, typ string, o quantize.Options) error {
	mix, err := quantize.ParseMix(typ)
	if err != nil {
		return usageError{err}
	}
	f, err := gguf.Open(in)
	if err != nil {
		return err
	}
	defer f.Close()
	report, end := io.progress("quantizing")
	o.Progress = report
	r, err := quantize.File(ctx, f, out, mix, o)
	end()
	if errors.Is(err, quantize.ErrQuantized) {
		return fmt.Errorf("%w (--allow-requantize)", err)
	}
	if err != nil {
		return err
	}
	weights := 0
	for _, t := range r.Tensors {
		weights += t.Elems()
	}
	substitutes(io, r)
	_, err = fmt.Fprintf(io.out, "%s: %s -> %s, %.2f bits a weight\n", out,
		bytesText(r.InBytes), bytesText(r.OutBytes), 8*float64(r.OutBytes)/float64(weights))
	return err
}

// substitutes says which tensors are stored in another format than the mix wants: a line
// for each length of rows and format.
func substitutes(io streams, r *quantize.Report) {
	type group struct {
		row int
		as  string
	}
	names := map[group][]string{}
	var order []group
	for _, t := range r.Tensors {
		if t.Substitute {
			g := group{t.RowLen(), t.DType.String()}
			if names[g] == nil {
				order = append(order, g)
			}
			names[g] = append(names[g], t.Name)
		}
	}
	for _, g := range order {
		more := ""
		if n := len(names[g]) - 1; n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		fmt.Fprintf(io.err, "%s%s: rows of %d do not fit the format the mix wants, stored as %s\n", names[g][0], more, g.row, g.as)
	}
}
