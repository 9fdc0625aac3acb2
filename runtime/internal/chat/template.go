// Package chat renders conversations with the Jinja template a model carries.
package chat

import (
	"errors"
	"fmt"
	"time"

	"github.com/ardanlabs/jinja"
)

// Limits of what a template may be and do. Templates come with model files and
// are foreign input.
const (
	maxSource   = 256 << 10 // bytes of template text
	maxNesting  = 100       // open brackets and open blocks at one place
	maxRange    = 1 << 16   // items all range() calls of one rendering may yield
	maxSteps    = 1 << 16   // loop turns and macro calls of one rendering
	maxMessages = 1 << 14
	maxInput    = 16 << 20 // bytes of all messages
	maxOutput   = 32 << 20 // bytes of rendered text
)

// ErrNoTemplate says that a model has no chat template.
var ErrNoTemplate = errors.New("the model has no chat template: continue prompts instead, or give a template (Options.ChatTemplate, --chat-template)")

// Message is one turn.
type Message struct{ Role, Content string }

// Template is safe for concurrent use.
type Template struct {
	compiled *jinja.Template
	bos, eos string
}

// New checks and compiles a template; bos and eos are the texts of the
// vocabulary's tokens, which templates refer to.
func New(source, bos, eos string) (*Template, error) {
	if source == "" {
		return nil, ErrNoTemplate
	}
	if err := check(source); err != nil {
		return nil, fmt.Errorf("chat template: %w", err)
	}
	var compiled *jinja.Template
	err := guard(func() (err error) {
		compiled, err = jinja.Compile(meter(source))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("chat template: %w", err)
	}
	return &Template{compiled, bos, eos}, nil
}

// Render is the text of the conversation. With open, it ends where the
// assistant's next answer begins.
func (t *Template) Render(messages []Message, open bool) (out string, err error) {
	list, err := values(messages)
	if err == nil {
		names := map[string]jinja.Value{
			"messages":              list,
			"add_generation_prompt": jinja.NewBool(open),
			"bos_token":             jinja.NewString(t.bos),
			"eos_token":             jinja.NewString(t.eos),
			"tools":                 jinja.None(),
			"range":                 jinja.NewCallable("range", boundedRange()),
			stepName:                jinja.NewCallable(stepName, budget()),
			"strftime_now":          jinja.NewCallable("strftime_now", today),
		}
		err = guard(func() (err error) {
			out, err = t.compiled.RenderValues(names)
			return err
		})
	}
	if err == nil && len(out) > maxOutput {
		err = fmt.Errorf("it rendered %d bytes, at most %d", len(out), maxOutput)
	}
	if err != nil {
		return "", fmt.Errorf("chat template: %w", err)
	}
	return out, nil
}

// values makes the list that templates go through.
func values(messages []Message) (jinja.Value, error) {
	if len(messages) > maxMessages {
		return jinja.None(), fmt.Errorf("a conversation of %d messages, at most %d", len(messages), maxMessages)
	}
	list := make([]jinja.Value, len(messages))
	size := 0
	for i, m := range messages {
		d := jinja.NewDict()
		d.AsDict().Set("role", jinja.NewString(m.Role))
		d.AsDict().Set("content", jinja.NewString(m.Content))
		list[i] = d
		size += len(m.Content) + len(m.Role)
	}
	if size > maxInput {
		return jinja.None(), fmt.Errorf("a conversation of %d bytes, at most %d", size, maxInput)
	}
	return jinja.NewList(list), nil
}

// guard turns a panic of the engine, on a negative count say, into an error.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the template broke the engine: %v", r)
		}
	}()
	return f()
}

// boundedRange is range() with a budget for one rendering.
func boundedRange() func([]jinja.Value, map[string]jinja.Value) (jinja.Value, error) {
	left := int64(maxRange)
	return func(args []jinja.Value, _ map[string]jinja.Value) (jinja.Value, error) {
		n := [3]int64{0, 0, 1}
		if len(args) < 1 || len(args) > 3 {
			return jinja.Undefined(), fmt.Errorf("range: %d arguments, want 1 to 3", len(args))
		}
		for i, a := range args {
			if !a.IsInt() {
				return jinja.Undefined(), errors.New("range: an argument is no integer")
			}
			n[i] = a.AsInt()
		}
		if len(args) == 1 {
			n[0], n[1] = 0, n[0]
		}
		if n[2] == 0 {
			return jinja.Undefined(), errors.New("range: step must not be zero")
		}
		var items []jinja.Value
		for i := n[0]; n[2] > 0 && i < n[1] || n[2] < 0 && i > n[1]; i += n[2] {
			if left--; left < 0 {
				return jinja.Undefined(), fmt.Errorf("range: more than %d items in one rendering", maxRange)
			}
			items = append(items, jinja.NewInt(i))
		}
		return jinja.NewList(items), nil
	}
}

// budget counts the steps of one rendering.
func budget() func([]jinja.Value, map[string]jinja.Value) (jinja.Value, error) {
	left := maxSteps
	return func([]jinja.Value, map[string]jinja.Value) (jinja.Value, error) {
		if left--; left < 0 {
			return jinja.Undefined(), fmt.Errorf("more than %d loop turns and macro calls in one rendering", maxSteps)
		}
		return jinja.None(), nil
	}
}

// today is strftime_now for the one use templates make of it, the date.
func today(args []jinja.Value, _ map[string]jinja.Value) (jinja.Value, error) {
	if len(args) != 1 || !args[0].IsString() {
		return jinja.Undefined(), errors.New("strftime_now: want a format")
	}
	return jinja.NewString(strftime(time.Now(), args[0].AsString())), nil
}

// strftime knows the directives of dates and times of day (C99 7.23.3.5).
func strftime(t time.Time, format string) string {
	layouts := map[byte]string{
		'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'H': "15", 'I': "03", 'M': "04", 'S': "05",
		'B': "January", 'b': "Jan", 'A': "Monday", 'a': "Mon", 'p': "PM", 'Z': "MST", 'z': "-0700",
		'F': "2006-01-02", 'T': "15:04:05", 'j': "002", 'e': "_2",
	}
	var out []byte
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			out = append(out, format[i])
			continue
		}
		i++
		if l, ok := layouts[format[i]]; ok {
			out = t.AppendFormat(out, l)
		} else {
			out = append(out, format[i]) // "%%" and what it does not know
		}
	}
	return string(out)
}
