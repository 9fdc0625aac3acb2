package chat

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/internal/testdata"
)

const chatML = `{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`

func TestRender(t *testing.T) {
	tm, err := New(chatML, "<s>", "</s>")
	if err != nil {
		t.Fatal(err)
	}
	got, err := tm.Render([]Message{{"user", "Hi"}, {"assistant", "Hello"}, {"user", "Bye"}}, true)
	want := "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n"
	if err != nil || got != want {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := New("", "", ""); err != ErrNoTemplate {
		t.Errorf("no template: %v", err)
	}
}

// TestHostile renders what would end the process if it were run.
func TestHostile(t *testing.T) {
	for name, src := range map[string]string{
		"self call":    `{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}`,
		"mutual call":  `{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}`,
		"alias":        `{% macro f() %}{{ g() }}{% endmacro %}{% set g = f %}{{ f() }}`,
		"alias inside": `{% macro f() %}{% set g = f %}{{ g() }}{% endmacro %}{{ f() }}`,
		"range":        `{% for i in range(1000000000000) %}x{% endfor %}`,
		"nested range": `{% for i in range(60000) %}{% for i in range(60000) %}x{% endfor %}{% endfor %}`,
		"huge step":    `{% for i in range(0, 9223372036854775807, 4611686018427387904) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}`,
		"brackets":     `{{ ` + strings.Repeat("(", 20000) + `1` + strings.Repeat(")", 20000) + ` }}`,
		"blocks":       strings.Repeat(`{% if true %}`, 5000) + strings.Repeat(`{% endif %}`, 5000),
		"large":        strings.Repeat("x", maxSource+1),
		"unclosed":     `{% for`,
		"raise":        `{{ raise_exception('no') }}`,
		"no meter":     `{% macro sw_step() %}{% endmacro %}{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}`,
		"own meter":    `{% set sw_step = namespace %}{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}`,
		"default":      `{% macro f(x=f()) %}{{ x }}{% endmacro %}{{ f() }}`,
		"negative":     `{{ "x" * -1 }}`,
		"overflow":     `{{ "xx" * 9223372036854775807 }}`,
		"wide":         `{{ "xx" | indent(9223372036854775807, true) }}`,
		"narrow":       `{{ [1] | tojson(indent=-1) }}`,
	} {
		tm, err := New(src, "", "")
		if err == nil {
			_, err = tm.Render([]Message{{"user", "x"}}, true)
		}
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestRealTemplates renders the published templates that need messages alone.
func TestRealTemplates(t *testing.T) {
	dir := testdata.Path(t, "templates", "jinja")
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(err, len(files))
	}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(string(src), "<s>", "</s>"); err != nil {
			t.Errorf("%s: %v", filepath.Base(f), err)
		}
	}
	t.Logf("%d templates compiled", len(files))
}

func FuzzTemplate(f *testing.F) {
	f.Add(chatML)
	f.Add(`{% macro f(x) %}{{ x }}{% endmacro %}{{ f("a") }}{# c #}{{ range(3) | length }}`)
	f.Fuzz(func(t *testing.T, src string) {
		if len(src) > 4096 {
			return
		}
		if check(src) == nil && len(meter(src)) < len(src) {
			t.Error("metering made the template shorter")
		}
	})
}

// TestPublishedRenders compares with the renders model authors and llama.cpp
// publish, and with Python's Jinja2 on whole templates, for conversations of
// plain messages.
func TestPublishedRenders(t *testing.T) {
	type conversation struct {
		Messages []map[string]any
		Open     *bool  `json:"add_generation_prompt"`
		BOS      string `json:"bos_token"`
		EOS      string `json:"eos_token"`
		Tools    any
		Thinking *bool `json:"thinking"`
	}
	plain := func(c conversation) (list []Message, ok bool) {
		for _, m := range c.Messages {
			role, _ := m["role"].(string)
			content, isText := m["content"].(string)
			if !isText || len(m) != 2 {
				return nil, false
			}
			list = append(list, Message{role, content})
		}
		return list, c.Tools == nil && c.Thinking == nil
	}
	var real struct {
		Contexts map[string]conversation
		Cases    []struct {
			ID, Context, Expected string
			File                  string `json:"template_file"`
			Error                 *string
		}
	}
	testdata.JSON(t, &real, "templates", "real_templates.json")
	checked := 0
	for _, c := range real.Cases {
		ctx := real.Contexts[c.Context]
		msgs, ok := plain(ctx)
		if !ok || c.File == "" || strings.Contains(c.Expected, "2025") { // a date the reference fixed
			continue
		}
		if ctx.BOS == "" {
			ctx.BOS, ctx.EOS = "<BOS>", "<EOS>"
		}
		tm, err := New(string(testdata.Open(t, "templates", "jinja", c.File)), ctx.BOS, ctx.EOS)
		if err != nil {
			t.Errorf("%s: %v", c.ID, err)
			continue
		}
		got, err := tm.Render(msgs, ctx.Open == nil || *ctx.Open)
		if c.Error != nil {
			if err == nil {
				t.Logf("%s: rendered, where Jinja2 says %q", c.ID, *c.Error)
			}
			continue
		}
		if err != nil || got != c.Expected {
			t.Errorf("%s: %v\n got %q\nwant %q", c.ID, err, got, c.Expected)
		}
		checked++
	}
	if checked < 50 {
		t.Errorf("only %d renders compared", checked)
	}
	t.Logf("%d renders compared", checked)
}
