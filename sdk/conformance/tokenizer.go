package conformance

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/sandwarp/sandwarp/wasm"
)

func (s *subject) encode(text string) (ids []int32, err error) {
	s.measure(len(text), 1, func() { ids, err = s.p.Encode(nil, text, false) })
	return ids, err
}

func (s *subject) decode(dst []byte, ids []int32) (text []byte, err error) {
	s.measure(4*len(ids), 1, func() { text, err = s.p.Decode(dst, ids, false) })
	return text, err
}

func (c *checker) tokenizerOdd() (string, error) {
	c.ids = make([][]int32, len(c.texts))
	var failed error
	total := 0
	for i, t := range c.texts {
		v, err := c.encode(t)
		c.ids[i], failed = v, errors.Join(failed, err)
		total += len(v)
	}
	return fmt.Sprintf("%d texts, %d ids", len(c.texts), total), failed
}

func (c *checker) tokenizerTwice() (string, error) {
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for w := range errs {
		wg.Go(func() {
			for i, t := range c.texts {
				got, err := c.p.Encode(nil, t, false)
				if err == nil && !slices.Equal(got, c.ids[i]) {
					err = fmt.Errorf("%s gives other ids", quote(t))
				}
				errs[w] = errors.Join(errs[w], err)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return "", err
		}
	}
	return "", nil
}

func (c *checker) tokenizerEngines() (string, error) {
	return c.engines(func(c *checker) (string, error) {
		var all strings.Builder
		for _, t := range short(c.texts) {
			ids, err := c.encode(t)
			if err != nil {
				return "", err
			}
			fmt.Fprintln(&all, ids)
		}
		return all.String(), nil
	})
}

// tokenizerBack wants text in ASCII back as it was. Normalising tokenizers may not give
// that for every text.
func (c *checker) tokenizerBack() (string, error) {
	for i, t := range c.texts {
		got, err := c.decode(nil, c.ids[i])
		if err != nil {
			return "", err
		}
		if plain(t) && string(got) != t {
			return "", fmt.Errorf("%s comes back as %s", quote(t), quote(string(got)))
		}
	}
	return "", nil
}

// plain is printable ASCII.
func plain(text string) bool {
	for _, r := range text {
		if r >= utf8.RuneSelf || r < ' ' {
			return false
		}
	}
	return true
}

func (c *checker) tokenizerSpecial() (string, error) {
	if !c.held["round-trip"] {
		return "", errNotHere
	}
	for _, t := range append([]string{"<|end|>a<s></s>[INST] <unk> <|im_start|>user"}, c.texts...) {
		ids, err := c.p.Encode(nil, t, true)
		var got []byte
		if err == nil {
			got, err = c.p.Decode(nil, ids, true)
		}
		if err == nil && plain(t) && string(got) != t {
			err = fmt.Errorf("%s comes back as %s", quote(t), quote(string(got)))
		}
		if err != nil {
			return "", err
		}
	}
	return "", nil
}

func (c *checker) tokenizerOneByOne() (string, error) {
	for _, list := range c.ids {
		list = list[:min(len(list), 500)]
		whole, err := c.decode(nil, list)
		var parts []byte
		for i := 0; i < len(list) && err == nil; i++ {
			parts, err = c.decode(parts, list[i:i+1])
		}
		if err == nil && string(parts) != string(whole) {
			err = fmt.Errorf("%s one by one, %s at once", quote(string(parts)), quote(string(whole)))
		}
		if err != nil {
			return "", err
		}
	}
	return "", nil
}

func (c *checker) tokenizerRange() (string, error) {
	for _, id := range []int32{-1, 1<<31 - 1, -1 << 31} {
		_, err := c.p.Decode(nil, []int32{id}, false)
		if err == nil {
			return "", fmt.Errorf("id %d was decoded", id)
		}
		c.expected++ // as we have asked for it
		if f := (*wasm.Fault)(nil); !errors.As(err, &f) || f.Reason != wasm.ReasonError {
			return "", err
		}
	}
	return "", nil
}
