package wasm

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/sandwarp/sandwarp/abi"
)

// filterTexts are ordinary and odd.
func filterTexts() []string {
	return []string{
		"",
		"The quick brown fox jumps over the lazy dog. It was the 3rd of May, 2021, at 10:30.",
		"Write to ann.b+c@example.co.uk or call +44 7700 900123; the card is 4111 1111 1111 1111.",
		"{\"name\": \"value\", \"list\": [1, 2.5e3, null], \"nested\": {\"a\": \"\\u00e9\"}}\n\n```go\nfunc main() {}\n```\n",
		"Ünïcödé, 漢字かな交じり文, עברית, العربية, 👩‍👩‍👧‍👦 e\u0301\u0302\u0303 \u200b\u202e\ufeff",
		strings.Repeat("a", 3000) + "@" + strings.Repeat("b", 3000),
		strings.Repeat("1234 ", 800),
		strings.Repeat("\n", 500) + strings.Repeat("(", 500) + "\x00\x01\x7f",
		"not UTF-8: \xff\xfe\xc3(\xe2\x82 end \xf0\x9f",
	}
}

func (c *checker) filter() {
	texts := filterTexts()
	whole := make([]string, len(texts))
	var failed error
	for i, t := range texts {
		out, err := c.feed(t, abi.FlagEnd, nil)
		whole[i] = out
		failed = errors.Join(failed, err)
	}
	if !c.add("it bears odd text", failed, "%d texts", len(texts)) {
		return
	}
	c.compare("it decides the same twice", texts, whole, func(t string) (string, error) {
		return c.feed(t, abi.FlagEnd, nil)
	})
	r := rand.New(rand.NewPCG(11, 12))
	for _, size := range []int{1, 3, 16, 200} {
		c.compare(fmt.Sprintf("chunks of up to %d bytes change nothing", size), texts, whole, func(t string) (string, error) {
			return c.feed(t, abi.FlagEnd, func() int { return 1 + r.IntN(size) })
		})
	}
	c.compare("a fault of another sequence changes nothing", texts, whole, func(t string) (string, error) {
		n := 0
		return c.feed(t, abi.FlagEnd, func() int {
			if n++; n%5 == 0 {
				if err := c.resetAll(); err != nil {
					return 1 << 30
				}
			}
			return 1 + r.IntN(30)
		})
	})
	_, err := c.feed(texts[1], abi.FlagEnd|abi.FlagPrompt, nil)
	c.add("it takes prompts, too", err, "")
}

// compare runs all texts and wants the outputs of before.
func (c *checker) compare(name string, texts, want []string, run func(string) (string, error)) {
	for i, t := range texts {
		got, err := run(t)
		if err == nil && got != want[i] {
			err = fmt.Errorf("%s becomes %s, before it was %s", quote(t), quote(got), quote(want[i]))
		}
		if err != nil {
			c.add(name, err, "")
			return
		}
	}
	c.add(name, nil, "")
}

func quote(s string) string {
	if len(s) > 120 {
		return fmt.Sprintf("%q... (%d bytes)", s[:120], len(s))
	}
	return fmt.Sprintf("%q", s)
}

// feed runs a text through a fresh sequence, cut into chunks, between characters
// where there are any.
func (c *checker) feed(text string, flags uint32, cut func() int) (string, error) {
	seq, err := c.open(1)
	if err != nil {
		return "", err
	}
	defer c.p.CloseSeq(seq)
	var out, pending []byte
	for {
		n, f := len(text), flags
		if cut != nil {
			if n = min(cut(), n); n < len(text) {
				f &^= abi.FlagEnd
			}
			for n < len(text) && splits([]byte(text), n) {
				n++
			}
		}
		pending, text = append(pending, text[:n]...), text[n:]
		for {
			released, used, stop, err := c.p.Filter(seq, pending, f)
			if err != nil || stop {
				return string(append(out, released...)), err
			}
			out, pending = append(out, released...), pending[used:]
			if used == 0 || len(pending) == 0 {
				break
			}
		}
		if len(text) == 0 {
			return string(out), nil
		}
	}
}
