package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	sandwarp "github.com/sandwarp/sandwarp/runtime"
	"github.com/sandwarp/sandwarp/wasm"
)

const chatHelp = `/help           this text
/new            forget the conversation
/stats          what the latest answer cost
/exit           leave (also Ctrl-D)
"""             begin and end a message of several lines
a line that ends in \ goes on in the next one
Ctrl-C          stop the answer
`

// maxLine bounds a line of chat input.
const maxLine = 1 << 20

func chatCommand(io streams) *cobra.Command {
	c := &chatter{runner: runner{io: io, chat: true}}
	cmd := &cobra.Command{
		Use:   "chat",
		Short: "Talk with a model",
		Long: `chat holds a conversation: the model sees everything said before. Ctrl-C stops the
answer, not the program.

` + chatHelp,
		Example: `  sandwarp chat
  sandwarp chat -m model.gguf --system "You answer in one sentence."
  printf 'What is sandwarp?\n' | sandwarp chat`,
		Args: args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context()) },
	}
	c.model.add(cmd)
	c.sampling.add(cmd, 0.3)
	c.plugins.add(cmd)
	cmd.Flags().StringVar(&c.system, "system", "", "system `message`")
	return cmd
}

type chatter struct {
	runner
	system string
	seed   uint64 // of the latest answer
	lines  *bufio.Scanner
	prompt bool // show one: a person types
}

func (c *chatter) run(ctx context.Context) error {
	plugs, err := c.plugins.load(ctx, c.io, &c.model)
	if err != nil {
		return err
	}
	defer plugs.close()
	m, err := c.model.open(ctx, c.io, plugs.tokenizer)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := plugs.fit(m.Info().Vocabulary); err != nil {
		return err
	}
	s, err := c.session(m)
	if err != nil {
		return err
	}
	defer s.Close()
	c.lines = bufio.NewScanner(c.io.in)
	c.lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	if c.prompt = isTerminal(c.io.in) && isTerminal(c.io.out); c.prompt {
		fmt.Fprintf(c.io.out, "%s. /help lists the commands.\n", m.Info().Name)
		hint := func() { fmt.Fprint(c.io.out, "\n(/exit or Ctrl-D leaves)\n>>> ") }
		defer onInterrupt.Store(onInterrupt.Swap(&hint))
	}
	for {
		message, err := c.read()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		done, err := c.turn(ctx, m, s, plugs, message)
		if done || err != nil {
			return err
		}
	}
}

func (c *chatter) session(m *sandwarp.Model) (*sandwarp.Session, error) {
	s := m.NewSession()
	if c.system == "" {
		return s, nil
	}
	return s, s.System(c.system)
}

// turn obeys a command or answers a message.
func (c *chatter) turn(ctx context.Context, m *sandwarp.Model, s *sandwarp.Session, plugs *plugins, message string) (done bool, err error) {
	switch strings.TrimSpace(message) {
	case "":
		return false, nil
	case "/exit", "/quit", "/bye":
		return true, nil
	case "/help":
		fmt.Fprint(c.io.out, chatHelp)
		return false, nil
	case "/stats":
		c.report(m, s, plugs, c.seed)
		return false, nil
	case "/new":
		if err := s.Reset(); err != nil {
			return false, err
		}
		if c.system != "" {
			err = s.System(c.system)
		}
		return false, err
	}
	if word := strings.TrimSpace(message); strings.HasPrefix(word, "/") && !strings.ContainsAny(word, " \n\t") {
		fmt.Fprintf(c.io.err, "sandwarp: %q is no command; /help lists them\n", word)
		return false, nil
	}
	return false, c.answer(ctx, m, s, plugs, message)
}

// answer streams one answer. Ctrl-C during it ends the answer alone.
func (c *chatter) answer(ctx context.Context, m *sandwarp.Model, s *sandwarp.Session, plugs *plugins, message string) error {
	o := c.sampling.options()
	o.WhenFull = sandwarp.ContextSlide
	c.seed = o.Seed
	plugs.join(&o)
	turn, stop := context.WithCancel(ctx)
	defer stop()
	if c.prompt {
		interrupted := func() { stop() }
		defer onInterrupt.Store(onInterrupt.Swap(&interrupted))
	}
	err := c.printText("", s.Chat(turn, message, o))
	if c.model.verbose {
		c.report(m, s, plugs, o.Seed)
	}
	var fault *wasm.Fault
	switch {
	case err == nil:
		plugs.complain(c.io.err)
	case errors.Is(err, context.Canceled) && ctx.Err() == nil:
		fmt.Fprintln(c.io.err, "(stopped)")
	case errors.Is(err, sandwarp.ErrContextFull), errors.Is(err, sandwarp.ErrBlocked), errors.Is(err, sandwarp.ErrNoCandidate), errors.As(err, &fault):
		fmt.Fprintln(c.io.err, "sandwarp:", err)
	default:
		return err
	}
	return nil
}

// read returns the next message: a line, several joined by a trailing backslash,
// or all between two lines of three quotes.
func (c *chatter) read() (string, error) {
	var b strings.Builder
	quoted := false
	for {
		if c.prompt {
			if b.Len() > 0 || quoted {
				fmt.Fprint(c.io.out, "... ")
			} else {
				fmt.Fprint(c.io.out, ">>> ")
			}
		}
		if !c.lines.Scan() {
			if err := c.lines.Err(); err != nil {
				return "", fmt.Errorf("reading a message: %w", err)
			}
			if b.Len() > 0 {
				return b.String(), nil
			}
			return "", io.EOF
		}
		line := c.lines.Text()
		rest, goesOn := strings.CutSuffix(line, `\`)
		switch {
		case strings.TrimSpace(line) == `"""`:
			if quoted {
				return strings.TrimSuffix(b.String(), "\n"), nil
			}
			quoted = true
		case quoted:
			b.WriteString(line + "\n")
		case goesOn:
			b.WriteString(rest + "\n")
		default:
			b.WriteString(line)
			return b.String(), nil
		}
	}
}
