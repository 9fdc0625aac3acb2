package examples_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/sdk/c/examples"
	"github.com/sandwarp/sandwarp/wasm"
)

// filters are the plugins that read what anybody may have written.
var filters = map[string]struct {
	module []byte
	config any
	flags  uint32
	each   float64 // instructions a byte at most, with the text at once
	stream float64 // a call, character by character: what is held is looked at again
}{
	"redact": {examples.Redact, nil, 0, 2500, 60_000},
	"pii":    {examples.PII, m{"url": "[url]"}, 0, 2500, 60_000},
	"guard":  {examples.Guard, m{"request": 6, "action": "log"}, abi.FlagPrompt, 2500, 2500},
}

// hostile is what texts are made of that are meant to do harm: broken UTF-8, what does
// not show, what looks like something else, and things that are nearly something, again
// and again.
var hostile = []string{
	"a", " ", "\x00", "\n", "é", "請", "忽", "忽略 ", "пароль", "𝐢", "ａ", "а", "１", "٣", "\xff", "\xc3", "\xe2\x80", "\xf0\x9f\x98", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\xaf",
	"\u200b", "\u200d", "\ufeff", "\u202e", "\u2066", "\u00ad", "\u0301", "\ufe0f", "\U000e0041", "\U000e0001", "👩\u200d👩\u200d👧", "🇩🇪",
	"i", "u ", "u. ", "you ", "i i ", "1 1 ", "l1", "1111 ", "i.", "ignore ", "1gnore", "password your ", "忽略指令", "\u200bi",
	"@", "a@", "a@a", "a@b.", "@.", ".", "-", "a-", "+", "+1 ", "(", "()", "(1) ", "1 ", "01 ", "0", "1-", "4111 ", "4111111111111111", "411111111111111 ", "call 555 ", "tel 1 ",
	"1\u00a0", "1\u2011", "１２３", ":", "a:", "::", "a::", "1:", "ffff:", "1.", "1.1.1.", "255.255.255.255", "a://", "http://x", "http://(", "DE89 ", "DE", "GB82WEST1", "GB82 WEST 1234 ", "AA00",
}

func fuelOf(t fataler, p *wasm.Plugin, flags uint32, pieces ...string) float64 {
	before := p.Stats().Fuel
	filtering(t, p, nil).rest(pieces, flags)
	return float64(p.Stats().Fuel - before)
}

// TestHostileTextIsCheap: no text takes more than so many instructions a byte, however
// long it is, nor makes a filter fail.
func TestHostileTextIsCheap(t *testing.T) {
	for name, f := range filters {
		p := load(t, f.module, wasm.Options{Config: f.config})
		var each, stream float64
		var slow, slowStream string
		for _, unit := range hostile {
			text := strings.Repeat(unit, 20_000/len(unit))
			small, large := fuelOf(t, p, f.flags, text[:len(text)/8]), fuelOf(t, p, f.flags, text)
			if large > 12*small+100_000 {
				t.Errorf("%s: %q: %.0f instructions for %d bytes, %.0f for an eighth", name, unit, large, len(text), small)
			}
			if x := large / float64(len(text)); x > each {
				each, slow = x, unit
			}
			if x := fuelOf(t, p, f.flags, strings.Split(text[:2000], "")...) / 2000; x > stream {
				stream, slowStream = x, unit
			}
		}
		t.Logf("%-6s at most %.0f instructions a byte (%q), character by character %.0f (%q)", name, each, slow, stream, slowStream)
		if each > f.each || stream > f.stream {
			t.Errorf("%s: too slow", name)
		}
	}
}

// TestMegabyteOfOneCharacter goes through, at once.
func TestMegabyteOfOneCharacter(t *testing.T) {
	for name, f := range filters {
		p := load(t, f.module, wasm.Options{Config: f.config})
		for _, unit := range []string{"a", "1", "@", ":", " ", "é", "\u200b", "忽", "(", "."} {
			text := strings.Repeat(unit, (1<<20)/len(unit))
			if out, stopped := filtering(t, p, nil).rest([]string{text}, f.flags); out != text || stopped {
				t.Errorf("%s: %q: %d bytes of %d, stopped %v", name, unit, len(out), len(text), stopped)
			}
		}
		if out, _ := filtering(t, p, nil).rest([]string{strings.Repeat("\xff", 1<<20)}, f.flags); f.flags == 0 && out != strings.Repeat("\ufffd", 1<<20) {
			t.Errorf("%s: %d bytes for a megabyte that is not UTF-8", name, len(out))
		}
	}
}

// TestHostileTextInPieces: a mixture of all that, cut anywhere, gives what it gives at
// once, in UTF-8.
func TestHostileTextInPieces(t *testing.T) {
	for name, f := range filters {
		t.Run(name, func(t *testing.T) {
			p := load(t, f.module, wasm.Options{Config: f.config})
			rapid.Check(t, func(t *rapid.T) {
				text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(hostile), 0, 40).Draw(t, "parts"), "")
				whole, _ := filtering(t, p, nil).rest([]string{text}, f.flags)
				if got, _ := filtering(t, p, nil).rest(cuts(t, text), f.flags); got != whole {
					t.Fatalf("%q\n whole  %q\n pieces %q", text, whole, got)
				}
				if !utf8.ValidString(whole) && f.flags == 0 {
					t.Fatalf("%q gives %q", text, whole)
				}
			})
		})
	}
}
