package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sandwarp/sandwarp/wasm"
)

// maxRecording bounds what is read of a recording, and what is written.
const maxRecording = 1 << 30

// recordFlags say where a request's plugins are recorded.
type recordFlags struct {
	path   string
	hashes bool
}

func (f *recordFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.path, "record", "", "write what samplers and filters are given and answer to a `file`, for plugin replay;\nit holds the text and the plugins' configuration")
	fl.BoolVar(&f.hashes, "record-hashes", false, "keep only hashes of the logits that plugins in mode dense see; they cannot be replayed")
}

// recording is a file being written.
type recording struct {
	file *os.File
	buf  *bufio.Writer
	rec  *wasm.Recorder
}

// record begins a recording of the plugins, if a file is named.
func (p *plugins) record(f *recordFlags) (*recording, error) {
	if f.path == "" {
		if f.hashes {
			return nil, usageError{errors.New("--record-hashes: there is no --record")}
		}
		return nil, nil
	}
	if len(p.all) == 0 {
		return nil, usageError{errors.New("--record: no plugin takes part")}
	}
	file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--record: %w", err)
	}
	r := &recording{file: file, buf: bufio.NewWriterSize(file, 1<<20)}
	r.rec = wasm.NewRecorder(r.buf, wasm.RecordOptions{MaxBytes: maxRecording, HashDense: f.hashes})
	for _, plug := range p.all {
		d, err := r.rec.Plugin(plug)
		if err != nil {
			return nil, errors.Join(err, file.Close())
		}
		p.recorded = append(p.recorded, d)
	}
	return r, nil
}

func (r *recording) close() error {
	if r == nil {
		return nil
	}
	if err := errors.Join(r.rec.Close(), r.buf.Flush(), r.file.Close()); err != nil {
		return fmt.Errorf("--record: %w", err)
	}
	return nil
}

func replayCommand(io streams) *cobra.Command {
	o, asJSON, engine := wasm.ReplayOptions{CacheDir: wasm.DefaultCacheDir()}, false, ""
	cmd := &cobra.Command{
		Use:   "replay RECORDING FILE",
		Short: "Run a recorded request through a plugin again",
		Long: `replay gives the plugin in FILE what it was given when RECORDING was made, by
sandwarp run --record, and compares its answers bit by bit. The exit code is 3 if one
differs: the first is shown.`,
		Example: `  sandwarp run --plugin filter.wasm --record request.swr "Once upon a time"
  sandwarp plugin replay request.swr filter.wasm`,
		Args: args(2, 2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.Engine, err = pickEngine(engine); err != nil {
				return err
			}
			return replay(cmd.Context(), io, args[0], args[1], o, asJSON)
		},
	}
	fl := cmd.Flags()
	fl.BoolVar(&asJSON, "json", false, "print JSON")
	fl.BoolVar(&o.AnyModule, "any-module", false, "FILE is not the module that was recorded: another version, say")
	fl.StringVar(&o.Plugin, "name", "", "`name` of the plugin, if the recording has several that may be meant")
	fl.StringVar(&engine, "engine", "wazero", "what runs plugins: "+engineNames())
	return cmd
}

func replay(ctx context.Context, io streams, path, plugin string, o wasm.ReplayOptions, asJSON bool) error {
	file, err := readFile(path, maxRecording)
	if err != nil {
		return err
	}
	module, err := readFile(plugin, maxModule)
	if err != nil {
		return err
	}
	out, err := wasm.Replay(ctx, module, file, o)
	switch {
	case errors.Is(err, wasm.ErrRecording):
		return fmt.Errorf("%s: %w", path, err)
	case errors.Is(err, wasm.ErrWhichPlugin):
		return fmt.Errorf("%s: %w with --name", plugin, err)
	case errors.Is(err, wasm.ErrOtherModule) && !o.AnyModule:
		return fmt.Errorf("%s: %w; --any-module runs it all the same", plugin, err)
	case err != nil:
		return fmt.Errorf("%s: %w", plugin, err)
	}
	if asJSON {
		enc := json.NewEncoder(io.out)
		enc.SetIndent("", "  ")
		err = enc.Encode(out)
	} else {
		err = printReplay(io, out)
	}
	if err == nil && out.Difference != nil {
		err = errCheckFailed
	}
	return err
}

func printReplay(io streams, out *wasm.Replayed) error {
	fmt.Fprintf(io.out, "plugin %s: %d calls, %d rows of logits", out.Plugin, out.Calls, out.Rows)
	if out.Skipped > 0 {
		fmt.Fprintf(io.out, ", %d rows left out: only their hashes were recorded", out.Skipped)
	}
	if out.Truncated {
		fmt.Fprint(io.out, "; the recording was cut short")
	}
	if out.Difference == nil {
		_, err := fmt.Fprintln(io.out, "\nevery answer is the recorded one")
		return err
	}
	_, err := fmt.Fprintf(io.out, "\n%v\n", out.Difference)
	return err
}
