package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/spf13/cobra"

	sandwarp "github.com/sandwarp/sandwarp/runtime"
)

// maxPrompt bounds what is read from standard input.
const maxPrompt = 16 << 20

func runCommand(io streams) *cobra.Command {
	r := &runner{io: io}
	cmd := &cobra.Command{
		Use:   "run [PROMPT]",
		Short: "Continue a prompt",
		Long: `run continues PROMPT and streams the text. Without PROMPT, or with "-", the prompt
is read from standard input. The built-in redaction filter, a sandboxed plugin,
replaces e-mail addresses, phone and card numbers in the answer; --no-plugins
leaves it out.

--json prints an object a line: for each token its id, the text that became safe to
show with it (none, or that of earlier tokens too), and its logprob; then, if a
filter or a stop text had held some back to the end, {"text"} alone; at last the
statistics.`,
		Example: `  sandwarp run "Once upon a time"
  sandwarp run -m model.gguf -n 64 --temperature 0 "The capital of France is"
  sandwarp run -m model.gguf --chat "What is the capital of France?"
  echo "Once upon a time" | sandwarp run --json | jq -j '.text // empty'`,
		Args: args(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return r.run(cmd.Context(), args) },
	}
	r.model.add(cmd)
	r.sampling.add(cmd, 0.7)
	r.plugins.add(cmd)
	r.record.add(cmd)
	fl := cmd.Flags()
	fl.BoolVar(&r.json, "json", false, "print one JSON object a token, then the statistics")
	fl.IntVar(&r.sampling.o.TopLogprobs, "top-logprobs", 0, "with --json: the `n` most likely tokens of each step as well")
	fl.BoolVar(&r.chat, "chat", false, "send the prompt as a message, through the model's chat template")
	return cmd
}

type runner struct {
	io       streams
	model    modelFlags
	sampling samplingFlags
	plugins  pluginFlags
	record   recordFlags
	json     bool
	chat     bool
}

func (r *runner) run(ctx context.Context, args []string) (err error) {
	prompt, err := r.prompt(args)
	if err != nil {
		return err
	}
	plugs, err := r.plugins.load(ctx, r.io, &r.model)
	if err != nil {
		return err
	}
	defer plugs.close()
	rec, err := plugs.record(&r.record)
	if err != nil {
		return err
	}
	defer func() {
		if failed := rec.close(); err == nil {
			err = failed
		}
	}()
	m, err := r.model.open(ctx, r.io, plugs.tokenizer)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := plugs.fit(m.Info().Vocabulary); err != nil {
		return err
	}
	o := r.sampling.options()
	plugs.join(&o)
	s := m.NewSession()
	defer s.Close()
	o.Logprobs = r.json
	answer := s.Generate(ctx, prompt, o)
	if r.chat {
		answer = s.Chat(ctx, prompt, o)
	}
	if r.json {
		err = r.printJSON(s, plugs, answer)
	} else {
		err = r.printText(prompt, answer)
	}
	if r.model.verbose {
		r.report(m, s, plugs, o.Seed)
	}
	if err == nil {
		plugs.complain(r.io.err)
	}
	return err
}

// prompt is the argument, or standard input.
func (r *runner) prompt(args []string) (string, error) {
	if len(args) == 1 && args[0] != "-" {
		return args[0], nil
	}
	if len(args) == 0 && isTerminal(r.io.in) {
		return "", usageError{fmt.Errorf("run: no prompt; give one as an argument or on standard input")}
	}
	b, err := io.ReadAll(io.LimitReader(r.io.in, maxPrompt+1))
	if err == nil && len(b) > maxPrompt {
		err = fmt.Errorf("the prompt on standard input is longer than %d bytes", maxPrompt)
	}
	return strings.TrimRight(string(b), "\r\n"), err
}

// printText streams the answer behind its prompt.
func (r *runner) printText(prompt string, answer iter.Seq2[sandwarp.Token, error]) error {
	echo := prompt // shown once the first token is there: a refused request prints nothing
	if r.chat {
		echo = ""
	}
	begun := false
	for tok, err := range answer {
		if err != nil {
			if begun {
				fmt.Fprintln(r.io.out)
			}
			return err
		}
		text := echo + tok.Text
		begun, echo = true, ""
		if isTerminal(r.io.out) {
			text = printable(text)
		}
		if _, err := io.WriteString(r.io.out, text); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(r.io.out, echo)
	return err
}

// jsonToken is a line of --json.
type jsonToken struct {
	ID      *int32        `json:"id,omitempty"` // none for text that was released after the last token
	Text    string        `json:"text"`
	Logprob *float64      `json:"logprob,omitempty"`
	Top     []jsonLogprob `json:"top_logprobs,omitempty"`
	Changes []jsonChange  `json:"changes,omitempty"`
}

type jsonLogprob struct {
	ID      int32   `json:"id"`
	Logprob float64 `json:"logprob"`
}

// jsonStats is the last line of --json.
type jsonStats struct {
	Finish        sandwarp.FinishReason `json:"finish_reason"`
	PromptTokens  int                   `json:"prompt_tokens"`
	CachedTokens  int                   `json:"cached_tokens"`
	Tokens        int                   `json:"generated_tokens"`
	PrefillMillis float64               `json:"prefill_ms"`
	DecodeMillis  float64               `json:"decode_ms"`
	PrefillRate   float64               `json:"prefill_tokens_per_second"`
	DecodeRate    float64               `json:"decode_tokens_per_second"`
	Changes       []jsonCount           `json:"changes,omitempty"`
	Plugins       []jsonPlugin          `json:"plugins,omitempty"`
}

func statsJSON(s sandwarp.Stats, plugs *plugins) jsonStats {
	return jsonStats{
		s.Finish, s.Prompt, s.Cached, s.Generated,
		s.Prefill.Seconds() * 1000, s.Decode.Seconds() * 1000, s.PrefillRate(), s.DecodeRate(), countsJSON(s.Changes), plugs.stats(),
	}
}

func (r *runner) printJSON(s *sandwarp.Session, plugs *plugins, answer iter.Seq2[sandwarp.Token, error]) error {
	w := bufio.NewWriter(r.io.out)
	defer w.Flush()
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for tok, err := range answer {
		if err != nil {
			return err
		}
		line := jsonToken{Text: tok.Text, Changes: changesJSON(tok.Changes)}
		if tok.ID >= 0 {
			line.ID = &tok.ID
		}
		if !math.IsNaN(tok.Logprob) {
			line.Logprob = &tok.Logprob
		}
		for _, t := range tok.TopLogprobs {
			line.Top = append(line.Top, jsonLogprob{t.ID, t.Logprob})
		}
		if err := enc.Encode(line); err != nil {
			return err
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return enc.Encode(statsJSON(s.Stats(), plugs))
}

// report is what -v says after an answer.
func (r *runner) report(m *sandwarp.Model, s *sandwarp.Session, plugs *plugins, seed uint64) {
	st := s.Stats()
	fmt.Fprintf(r.io.err, "model %s, %s, backend %s, seed %d\n", m.Info().Name, m.Info().Format, m.Info().Backend, seed)
	fmt.Fprintf(r.io.err, "prompt %d tokens (%d cached), %.1f ms, %.1f tokens/s\n",
		st.Prompt, st.Cached, st.Prefill.Seconds()*1000, st.PrefillRate())
	fmt.Fprintf(r.io.err, "answer %d tokens, %.1f ms, %.1f tokens/s, ended by %v\n",
		st.Generated, st.Decode.Seconds()*1000, st.DecodeRate(), st.Finish)
	reportChanges(r.io.err, st.Changes)
	plugs.report(r.io.err)
}

func randomSeed() uint64 { return rand.Uint64() }
