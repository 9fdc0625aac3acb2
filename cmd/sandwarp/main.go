// Command sandwarp runs GGUF language models on this machine, with sandboxed
// WebAssembly plugins.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"unicode"

	"github.com/spf13/cobra"

	sandwarp "github.com/sandwarp/sandwarp/runtime"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailure     = 1   // something went wrong: the message says what
	exitUsage       = 2   // the command line is wrong
	exitCheckFailed = 3   // `plugin check`, `verify`, `replay`: the plugin is not what it should be
	exitInterrupted = 130 // Ctrl-C
)

// usageError is an error of the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// errCheckFailed has been explained already.
var errCheckFailed = errors.New("the plugin failed the check")

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	go watchSignals(cancel)
	os.Exit(runCommandLine(ctx))
}

// runCommandLine is the whole program but for signals.
func runCommandLine(ctx context.Context) int {
	out := &checkedWriter{w: os.Stdout}
	code := execute(ctx, newRoot(streams{in: os.Stdin, out: out, err: os.Stderr}))
	if code == exitOK && out.err != nil {
		fmt.Fprintln(os.Stderr, "sandwarp: standard output:", out.err)
		code = exitFailure
	}
	return code
}

// onInterrupt, when set, takes a Ctrl-C; otherwise it ends the command.
var onInterrupt atomic.Pointer[func()]

// watchSignals cancels the command on Ctrl-C and on termination.
func watchSignals(cancel context.CancelFunc) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	for s := range signals {
		if f := onInterrupt.Load(); f != nil && s == os.Interrupt {
			(*f)()
		} else {
			cancel()
		}
	}
}

// execute runs the command line and turns its error into a message and a code.
func execute(ctx context.Context, root *cobra.Command) int {
	cmd, err := root.ExecuteContextC(ctx)
	var usage usageError
	var option *sandwarp.OptionError
	if errors.As(err, &option) {
		err = usageError{fmt.Errorf("%s %s", flagOf(option.Option), option.Reason)}
	}
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errCheckFailed):
		return exitCheckFailed
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return exitInterrupted
	case errors.As(err, &usage):
		fmt.Fprintf(root.ErrOrStderr(), "sandwarp: %v\nRun '%s --help' for what it takes.\n", plainNumber(err), cmd.CommandPath())
		return exitUsage
	}
	fmt.Fprintln(root.ErrOrStderr(), "sandwarp:", err)
	return exitFailure
}

// plainNumber says what is wrong with a number in the command's words, where package
// strconv would name its functions.
func plainNumber(err error) error {
	var number *strconv.NumError
	if !errors.As(err, &number) {
		return err
	}
	reason := "too large or too small"
	if errors.Is(number, strconv.ErrSyntax) {
		reason = "not a whole number"
		if number.Func == "ParseFloat" {
			reason = "not a number"
		}
	}
	return errors.New(strings.Replace(err.Error(), number.Error(), reason, 1))
}

// flagOf is the flag that sets an option: --top-k for GenerateOptions.TopK.
func flagOf(option string) string {
	_, field, _ := strings.Cut(option, ".")
	var flag strings.Builder
	for i, r := range field {
		if i > 0 && unicode.IsUpper(r) {
			flag.WriteByte('-')
		}
		flag.WriteRune(unicode.ToLower(r))
	}
	return "--" + flag.String()
}

func newRoot(io streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "sandwarp",
		Short: "Run language models on this machine, with sandboxed WebAssembly plugins",
		Long: `sandwarp runs GGUF language models on this machine and lets sandboxed WebAssembly
plugins take part: tokenizers, samplers and filters. Without --model it runs a
tiny demo model of its own that tells little stories.

The exit code is 0, or 1 if something went wrong, 2 for a mistake in the command line,
3 if a plugin fails a check, a verification or a replay, 130 after Ctrl-C.`,
		Example: `  sandwarp run "Once upon a time"
  sandwarp run -m llama.gguf -n 200 --temperature 0.7 "The capital of France is"
  sandwarp chat -m qwen.gguf
  sandwarp inspect model.gguf`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, "", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	root.Version = version
	root.SetVersionTemplate("sandwarp {{.Version}}\n")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetOut(io.out)
	root.SetErr(io.err)
	root.SetIn(io.in)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		runCommand(io), chatCommand(io), inspectCommand(io), tokenizeCommand(io), logitsCommand(io),
		benchCommand(io), quantizeCommand(io), pluginCommand(io), devicesCommand(io), versionCommand(io),
	)
	return root
}

// args is the rule of a command that takes least to most positional arguments.
// Breaking it is a usage error that shows which ones.
func args(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, a []string) error {
		name := strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
		_, wanted, _ := strings.Cut(cmd.Use, " ")
		switch {
		case len(a) >= least && len(a) <= most:
			return nil
		case cmd.HasSubCommands():
			return unknownCommand(cmd, name+": ", a[0])
		case most == 0:
			return usageError{fmt.Errorf("%s takes no argument, got %q", name, a[0])}
		case len(a) == 0:
			return usageError{fmt.Errorf("%s wants %s", name, wanted)}
		case len(a) < least:
			return usageError{fmt.Errorf("%s wants %s, got %q", name, wanted, a)}
		}
		return usageError{fmt.Errorf("%s wants %s, got %q; a text of several words needs quotes", name, wanted, a)}
	}
}

// unknownCommand is the usage error of a name that is no subcommand of cmd, with
// those that look like it.
func unknownCommand(cmd *cobra.Command, where, name string) error {
	hint := ""
	cmd.SuggestionsMinimumDistance = 2
	if like := cmd.SuggestionsFor(name); len(like) > 0 {
		hint = fmt.Sprintf("; did you mean %s?", strings.Join(like, " or "))
	}
	return usageError{fmt.Errorf("%sunknown command %q%s", where, name, hint)}
}
