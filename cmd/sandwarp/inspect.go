package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sandwarp/sandwarp/cmd/sandwarp/demo"
	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/tensor"
)

func inspectCommand(io streams) *cobra.Command {
	in := &inspector{io: io}
	cmd := &cobra.Command{
		Use:   "inspect [FILE]",
		Short: "Show what is inside a model or a plugin",
		Long: `inspect reads a GGUF model or a Wasm plugin and shows what is inside, without
running any of it. Without FILE it looks at the built-in demo model.`,
		Example: `  sandwarp inspect model.gguf
  sandwarp inspect --json model.gguf | jq .tensors
  sandwarp inspect filter.wasm`,
		Args: args(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return in.run(cmd.Context(), args) },
	}
	cmd.Flags().BoolVar(&in.json, "json", false, "print JSON")
	cmd.Flags().StringArrayVarP(&in.keys, "key", "k", nil, "public key `file`: say whether it signed the plugin (repeatable)")
	cmd.Flags().BoolVar(&in.all, "all", false, "print long values and every tensor")
	return cmd
}

type inspector struct {
	io        streams
	json, all bool
	keys      []string // files of public keys, for plugins
}

func (in *inspector) run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		f, err := gguf.Parse("demo.gguf (built in)", demo.GGUF)
		if err != nil {
			return err
		}
		return in.model(f)
	}
	isWasm, err := startsWith(args[0], "\x00asm")
	if err != nil {
		return err
	}
	if isWasm {
		return in.plugin(ctx, args[0])
	}
	f, err := gguf.Open(args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	return in.model(f)
}

func startsWith(path, magic string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(f, head); err != nil {
		return false, nil // too short: the model reader says so better
	}
	return bytes.Equal(head, []byte(magic)), nil
}

// jsonModel is what --json prints of a model.
type jsonModel struct {
	File      string         `json:"file"`
	Version   uint32         `json:"gguf_version"`
	Bytes     int64          `json:"bytes"`
	Alignment int            `json:"alignment"`
	Weights   int64          `json:"parameters"`
	Metadata  map[string]any `json:"metadata"`
	Tensors   []jsonTensor   `json:"tensors"`
}

type jsonTensor struct {
	Name   string `json:"name"`
	Format string `json:"format"`
	Shape  []int  `json:"shape"` // rows first, the contiguous dimension last
	Bytes  int    `json:"bytes"`
	Offset int64  `json:"offset"`
}

func (in *inspector) model(f *gguf.File) error {
	m := jsonModel{
		File: f.Name, Version: uint32(f.Version), Bytes: f.Size(), Alignment: int(f.Alignment),
		Metadata: map[string]any{}, Tensors: []jsonTensor{},
	}
	for _, k := range f.Keys() {
		m.Metadata[k], _ = f.Value(k)
	}
	formats := map[tensor.DType]int{}
	for _, t := range f.Tensors() {
		m.Weights += int64(t.Elems())
		formats[t.DType] += t.Bytes()
		m.Tensors = append(m.Tensors, jsonTensor{t.Name, t.DType.String(), t.Shape, t.Bytes(), t.Offset})
	}
	if in.json {
		enc := json.NewEncoder(in.io.out)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(m)
	}
	return in.modelText(f, m, formats)
}

// tensorsShown is how many tensors are listed without --all.
const tensorsShown = 16

func (in *inspector) modelText(f *gguf.File, m jsonModel, formats map[tensor.DType]int) error {
	w := tabwriter.NewWriter(in.io.out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "file\t%s\n", m.File)
	fmt.Fprintf(w, "format\tGGUF %d, %s, %s parameters\n", m.Version, bytesText(m.Bytes), countText(m.Weights))
	for _, t := range tensor.DTypes() {
		if n := formats[t]; n > 0 {
			fmt.Fprintf(w, "weights\t%v %s\n", t, bytesText(int64(n)))
		}
	}
	fmt.Fprintf(w, "\nmetadata\t%d keys\n", len(f.Keys()))
	for _, k := range f.Keys() {
		fmt.Fprintf(w, "  %s\t%s\n", k, in.value(m.Metadata[k]))
	}
	fmt.Fprintf(w, "\ntensors\t%d\n", len(m.Tensors))
	for i, t := range m.Tensors {
		if i == tensorsShown && !in.all {
			fmt.Fprintf(w, "  ...\t%d more; --all lists them\n", len(m.Tensors)-i)
			break
		}
		fmt.Fprintf(w, "  %s\t%s\t%v\t%s\n", t.Name, t.Format, t.Shape, bytesText(int64(t.Bytes)))
	}
	return w.Flush()
}

// value is a metadata value on one line, cut unless --all.
func (in *inspector) value(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil { // infinities and NaN have no JSON
		b.Reset()
		fmt.Fprint(&b, v)
	}
	s := strings.TrimSpace(b.String())
	if limit := 72; len(s) > limit && !in.all {
		s = strings.ToValidUTF8(s[:limit], "") + fmt.Sprintf("... (%s)", bytesText(int64(b.Len())))
	}
	return s
}

func bytesText(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}

func countText(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2f B", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f M", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f K", float64(n)/1e3)
	}
	return fmt.Sprint(n)
}
