package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

func logitsCommand(io streams) *cobra.Command {
	var (
		model        modelFlags
		tokens, file string
		out          string
	)
	cmd := &cobra.Command{
		Use:   "logits",
		Short: "Write the logits of every position of a token sequence",
		Long: `logits runs a sequence of token ids from position 0 and writes the logits of every
position: little-endian 32-bit floats, one row of the vocabulary's size after the
other, nothing else.`,
		Example: `  sandwarp logits -m model.gguf --tokens 1,2,3 --out logits.f32
  sandwarp logits -m model.gguf --tokens-file ids.txt --out -`,
		Args: args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return usageError{errors.New("logits: --out is missing; - is standard output")}
			}
			ids, err := tokenList(tokens, file)
			if err != nil {
				return err
			}
			return writeLogits(cmd.Context(), io, &model, ids, out)
		},
	}
	model.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&tokens, "tokens", "", "`ids`, separated by commas")
	fl.StringVar(&file, "tokens-file", "", "`file` with ids, separated by commas or white space")
	fl.StringVarP(&out, "out", "o", "", "`file` to write, - for standard output (required)")
	return cmd
}

// tokenList reads ids from a flag or a file.
func tokenList(list, file string) ([]int32, error) {
	if (list == "") == (file == "") {
		return nil, usageError{fmt.Errorf("logits: give either --tokens or --tokens-file")}
	}
	if file != "" {
		b, err := readFile(file, maxPrompt)
		if err != nil {
			return nil, err
		}
		list = string(b)
	}
	fields := strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(", \t\r\n[]", r) })
	ids := make([]int32, len(fields))
	for i, f := range fields {
		id, err := strconv.ParseInt(f, 10, 32)
		if err != nil {
			return nil, usageError{fmt.Errorf("token %d: %q is not a token id", i, f)}
		}
		ids[i] = int32(id)
	}
	return ids, nil
}

func writeLogits(ctx context.Context, io streams, model *modelFlags, ids []int32, out string) (result error) {
	m, err := model.open(ctx, io, nil)
	if err != nil {
		return err
	}
	defer m.Close()
	w := bufio.NewWriterSize(io.out, 1<<16)
	if out != "-" {
		f, finish, err := createOutput(out)
		if err != nil {
			return err
		}
		defer func() { result = finish(result) }()
		w.Reset(f)
	}
	report, end := io.progress("positions")
	defer end()
	row := make([]byte, 0, 4*m.Info().Vocabulary)
	err = m.Logits(ctx, ids, func(pos int, logits []float32) error {
		row = row[:0]
		for _, l := range logits {
			row = binary.LittleEndian.AppendUint32(row, math.Float32bits(l))
		}
		report(int64(pos+1), int64(len(ids)))
		_, err := w.Write(row)
		return err
	})
	if err != nil {
		return err
	}
	return w.Flush()
}

// createOutput opens a file that takes the place of path when finish is called
// without an error, and leaves nothing behind otherwise. What is no regular file
// (a pipe, a device) is written to as it is.
func createOutput(path string) (f *os.File, finish func(error) error, err error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		return f, func(err error) error { return errors.Join(err, f.Close()) }, err
	}
	f, err = os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.part")
	if err != nil {
		return nil, nil, err
	}
	return f, func(err error) error {
		if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
			err = os.Rename(f.Name(), path)
		}
		if err != nil {
			os.Remove(f.Name())
		}
		return err
	}, nil
}
