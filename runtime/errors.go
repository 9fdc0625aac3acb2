package sandwarp

import (
	"errors"
	"fmt"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/runtime/internal/chat"
	"github.com/sandwarp/sandwarp/runtime/internal/sample"
	"github.com/sandwarp/sandwarp/runtime/internal/sched"
)

// Errors to branch on with errors.Is. Their texts say what to do next.
var (
	// ErrClosed: the Model or Session was closed.
	ErrClosed = sched.ErrClosed
	// ErrBusy: the Session is generating already; a Session is one conversation.
	ErrBusy = sched.ErrBusy
	// ErrQueueFull: more requests wait than Options.MaxQueue allows.
	ErrQueueFull = sched.ErrQueueFull
	// ErrCacheFull: the request can never fit into the KV cache.
	ErrCacheFull = sched.ErrCacheFull
	// ErrContextFull: conversation and prompt leave no room in the context.
	ErrContextFull = errors.New("the prompt does not fit into the context")
	// ErrNoCandidate: every token was forbidden.
	ErrNoCandidate = sample.ErrNoCandidate
	// ErrNoChatTemplate: the model has none; use Generate with a prompt in the
	// form the model was trained on, or set Options.ChatTemplate.
	ErrNoChatTemplate = chat.ErrNoTemplate
	// ErrWeightsLost: the mapped model file changed or was truncated. The Model
	// is of no more use.
	ErrWeightsLost = backend.ErrWeightsLost
	// ErrDeviceLost: the GPU is gone, and with it what was being generated. The
	// Model goes on on the CPU: try again.
	ErrDeviceLost = backend.ErrDeviceLost
	// ErrBlocked: a filter refused the prompt. The message has its name, and, quoted,
	// up to 256 bytes of what it put in the prompt's place: its reason.
	ErrBlocked = errors.New("a filter refused the prompt")
)

// OptionError says which option cannot be had as it is.
type OptionError struct {
	Option string // "Options.Context", "GenerateOptions.TopK"
	Reason string // "is -1, want 0 or more"
}

func (e *OptionError) Error() string { return e.Option + " " + e.Reason }

// option is an *OptionError; reason goes on after the option's name.
func option(name, reason string, args ...any) error {
	return &OptionError{Option: name, Reason: fmt.Sprintf(reason, args...)}
}

// FormatError describes what is wrong with a model file and where: File, Field,
// Offset in bytes and Reason.
type FormatError = gguf.FormatError
