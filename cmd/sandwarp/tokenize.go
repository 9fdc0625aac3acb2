package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sandwarp/sandwarp/cmd/sandwarp/demo"
	sandwarp "github.com/sandwarp/sandwarp/runtime"
)

func tokenizeCommand(io streams) *cobra.Command {
	t := &tokenizer{io: io}
	cmd := &cobra.Command{
		Use:   "tokenize [TEXT]",
		Short: "Show the tokens of a text",
		Long: `tokenize splits TEXT, or standard input, into the model's tokens. No beginning-of-
sequence token is added, and the texts of control tokens are plain text unless
--special is given. With --plugin a plugin takes the place of the model's tokenizer.`,
		Example: `  sandwarp tokenize "Once upon a time"
  sandwarp tokenize -m model.gguf --ids "Hello"
  sandwarp tokenize --plugin tokenizer.wasm "Hello"
  printf '"Hello"\n"a b"\n' | sandwarp tokenize -m model.gguf --jsonl`,
		Args: args(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, end, err := t.open(cmd.Context())
			if err != nil {
				return err
			}
			defer end()
			return t.run(v, args)
		},
	}
	fl := cmd.Flags()
	fl.StringVarP(&t.model.path, "model", "m", "", "GGUF `file` of a model or a vocabulary; the demo model by default")
	fl.BoolVar(&t.ids, "ids", false, "print the ids alone, separated by spaces")
	fl.BoolVar(&t.jsonl, "jsonl", false, "read a JSON string a line, write a JSON array of ids a line")
	fl.BoolVar(&t.special, "special", false, "read the texts of control tokens as those tokens")
	fl.StringVar(&t.plugin, "plugin", "", "Wasm plugin `file`, a tokenizer")
	fl.StringArrayVar(&t.configs, "plugin-config", nil, "`NAME=JSON` configuration of the plugin")
	return cmd
}

type tokenizer struct {
	io                  streams
	model               modelFlags
	ids, jsonl, special bool
	plugin              string
	configs             []string
}

// open returns the plugin's tokenizer or the model's, and what closes it.
func (t *tokenizer) open(ctx context.Context) (_ sandwarp.Tokenizer, end func(), err error) {
	f := pluginFlags{configs: t.configs, none: true, engine: "wazero"}
	if t.plugin != "" {
		f.files = []string{t.plugin}
	}
	p, err := f.load(ctx, t.io, &t.model)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case p.tokenizer != nil:
		return p.tokenizer, p.close, nil
	case t.plugin != "":
		defer p.close()
		return nil, nil, usageError{fmt.Errorf("--plugin %s is a %s, want a tokenizer", t.plugin, p.all[0].Manifest().Kind)}
	}
	v, err := openVocabulary(t.model.path)
	return v, p.close, err
}

// openVocabulary reads the tokenizer of a file, or of the demo model.
func openVocabulary(path string) (*sandwarp.Vocabulary, error) {
	if path == "" {
		return sandwarp.ParseVocabulary("demo.gguf (built in)", demo.GGUF)
	}
	return sandwarp.OpenVocabulary(path)
}

func (t *tokenizer) run(v sandwarp.Tokenizer, args []string) error {
	if t.jsonl {
		return t.lines(v)
	}
	text, err := (&runner{io: t.io}).prompt(args)
	if err != nil {
		return err
	}
	ids, err := v.Encode(nil, text, t.special)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(t.io.out)
	if t.ids {
		s := make([]string, len(ids))
		for i, id := range ids {
			s[i] = strconv.Itoa(int(id))
		}
		fmt.Fprintln(w, strings.Join(s, " "))
		return w.Flush()
	}
	for _, id := range ids {
		b, err := v.Decode(nil, []int32{id}, true)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%8d  %q\n", id, b)
	}
	fmt.Fprintf(w, "%d tokens\n", len(ids))
	return w.Flush()
}

// lines answers each line of JSON, flushing as it goes.
func (t *tokenizer) lines(v sandwarp.Tokenizer) error {
	in, w := bufio.NewReaderSize(t.io.in, 1<<16), bufio.NewWriter(t.io.out)
	defer w.Flush()
	enc := json.NewEncoder(w)
	var ids []int32
	for n := 1; ; n++ {
		line, err := readLine(in)
		if err == io.EOF {
			return nil
		}
		var text string
		if err == nil {
			err = json.Unmarshal(line, &text)
		}
		if err == nil {
			ids, err = v.Encode(ids[:0], text, t.special)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if ids == nil {
			ids = []int32{}
		}
		if err := enc.Encode(ids); err != nil {
			return err
		}
		if in.Buffered() == 0 {
			if err := w.Flush(); err != nil {
				return err
			}
		}
	}
}

// readLine reads a line of at most maxPrompt bytes; io.EOF only at the very end.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if line = append(line, part...); len(line) > maxPrompt {
			return nil, fmt.Errorf("longer than %d bytes", maxPrompt)
		}
		switch {
		case err == nil, err == io.EOF && len(line) > 0:
			return line, nil
		case err != bufio.ErrBufferFull:
			return nil, err
		}
	}
}
