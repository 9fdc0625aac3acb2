package wasm

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"unicode/utf8"
)

func (c *checker) tokenizer() {
	texts := filterTexts()
	ids := make([][]int32, len(texts))
	var failed error
	total := 0
	for i, t := range texts {
		v, err := c.p.Encode(nil, t, false)
		ids[i] = v
		failed = errors.Join(failed, err)
		total += len(v)
	}
	if !c.add("it encodes odd text", failed, "%d texts, %d ids", len(texts), total) {
		return
	}
	c.add("it encodes the same twice, and side by side", c.sideBySide(texts, ids), "")
	c.add("it decodes what it encoded", c.roundTrip(texts, ids), "")
	c.add("ids decoded one by one give the same bytes", c.oneByOne(ids), "")
	c.add("ids out of range are errors, not faults", c.outOfRange(), "")
}

func (c *checker) sideBySide(texts []string, want [][]int32) error {
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for w := range errs {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i, t := range texts {
				got, err := c.p.Encode(nil, t, false)
				if err == nil && !slices.Equal(got, want[i]) {
					err = fmt.Errorf("%s gives other ids", quote(t))
				}
				errs[w] = errors.Join(errs[w], err)
			}
		}()
	}
	wg.Wait()
	return errors.Join(errs...)
}

// roundTrip wants text in UTF-8 back as it was. Normalising tokenizers may not
// give that for every text, but must for ASCII.
func (c *checker) roundTrip(texts []string, ids [][]int32) error {
	for i, t := range texts {
		got, err := c.p.Decode(nil, ids[i], false)
		if err != nil {
			return err
		}
		ascii := true
		for _, r := range t {
			ascii = ascii && r < utf8.RuneSelf && r >= ' '
		}
		if ascii && string(got) != t {
			return fmt.Errorf("%s comes back as %s", quote(t), quote(string(got)))
		}
	}
	return nil
}

func (c *checker) oneByOne(ids [][]int32) error {
	for _, list := range ids {
		list = list[:min(len(list), 500)]
		whole, err := c.p.Decode(nil, list, false)
		var parts []byte
		for i := 0; i < len(list) && err == nil; i++ {
			parts, err = c.p.Decode(parts, list[i:i+1], false)
		}
		if err == nil && string(parts) != string(whole) {
			err = fmt.Errorf("%s one by one, %s at once", quote(string(parts)), quote(string(whole)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) outOfRange() error {
	before := c.p.stats.faults.Load()
	for _, id := range []int32{-1, 1<<31 - 1, -1 << 31} {
		_, err := c.p.Decode(nil, []int32{id}, false)
		var f *Fault
		if err == nil {
			return fmt.Errorf("id %d was decoded", id)
		}
		if !errors.As(err, &f) || f.Reason != ReasonError {
			return err
		}
	}
	c.p.stats.faults.Store(before) // these were ours
	return nil
}
