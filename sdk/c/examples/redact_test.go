package examples_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/sdk/c/examples"
	"github.com/sandwarp/sandwarp/wasm"
)

// stream shows a filter a text in pieces, as the runtime does: what it has not
// consumed comes again with what follows.
type stream struct {
	t       fataler
	p       *wasm.Plugin
	seq     uint64
	pending []byte
	out     []byte
	most    int // bytes held back
	mayStop bool
	stopped bool
}

type fataler interface {
	Helper()
	Cleanup(func())
	Fatalf(string, ...any)
}

func (s *stream) feed(piece string, flags uint32) {
	s.t.Helper()
	if s.stopped {
		return
	}
	s.pending = append(s.pending, piece...)
	for {
		out, n, stop, err := s.p.Filter(s.seq, s.pending, flags)
		if err != nil || stop && !s.mayStop {
			s.t.Fatalf("pending %.300q: stop %v, error %v", s.pending, stop, err)
		}
		s.out = append(s.out, out...)
		if s.stopped = stop; stop {
			return
		}
		s.pending = s.pending[n:]
		if n == 0 || len(s.pending) == 0 {
			s.most = max(s.most, len(s.pending))
			return
		}
	}
}

// end gives the last piece and returns all that was released.
func (s *stream) end(piece string, flags uint32) string {
	s.t.Helper()
	s.feed(piece, flags|abi.FlagEnd)
	s.p.CloseSeq(s.seq)
	return string(s.out)
}

var lastSeq uint64

func open(t fataler, p *wasm.Plugin, config []byte) *stream {
	t.Helper()
	lastSeq++
	if err := p.OpenSeq(lastSeq, config); err != nil {
		t.Fatalf("open: %v", err)
	}
	s := &stream{t: t, p: p, seq: lastSeq}
	t.Cleanup(func() { p.CloseSeq(s.seq) })
	return s
}

// redact gives the filter the pieces, of which the last ends the text.
func redact(t fataler, p *wasm.Plugin, pieces ...string) string {
	t.Helper()
	s := open(t, p, nil)
	for _, piece := range pieces[:len(pieces)-1] {
		s.feed(piece, 0)
	}
	return s.end(pieces[len(pieces)-1], 0)
}

var redacted = []struct{ in, want string }{
	// The ones everybody writes.
	{"hello@example.com", "[email]"},
	{"+1 555 010 0199", "[phone]"},
	{"4111 1111 1111 1111", "[card]"},
	{"078-05-1120", "[ssn]"},
	{"write to hello@example.com or call +1 555 010 0199 now", "write to [email] or call [phone] now"},

	// Addresses.
	{"<first.last+tag@mail.example.co.uk>", "<[email]>"},
	{"mailto:a_b%c@x-y.io.", "mailto:[email]."},
	{"'bob@example.com'", "'[email]'"},
	{"o'brien@example.ie, ok", "[email], ok"},
	{"**bob@example.com**", "**[email]**"},
	{"a@b.co,c@d.org;e@f.net", "[email],[email];[email]"},
	{"jörg@müller.de und иван@пример.рф", "[email] und [email]"},
	{"请写信到hello@example.com谢谢", "请写信到[email]谢谢"},
	{"x@example.com.", "[email]."},
	{"x@example.com.2024", "[email].2024"},
	{"x@a.bc@d.ef", "[email]@d.ef"},
	{"0612345678@example.com", "[email]"},
	{"5550100199.bob@example.com", "[email]"},
	{"user@localhost, @handle, a@b, a@.com, foo@192.168.1.1", "user@localhost, @handle, a@b, a@.com, foo@192.168.1.1"},
	{strings.Repeat("a", 100) + "@example.com", strings.Repeat("a", 36) + "[email]"},
	{strings.Repeat("é", 50) + "@example.com", strings.Repeat("é", 18) + "[email]"},

	// Phones.
	{"(555) 010-0199", "[phone]"},
	{"555-010-0199, 1-800-555-0199; 212.555.0199", "[phone], [phone]; [phone]"},
	{"+44 (0)20 7946 0958 and +4915112345678.", "[phone] and [phone]."},
	{"0044 20 7946 0958", "[phone]"},
	{"01.84.17.61.18", "[phone]"},
	{"0211/1234567", "[phone]"},
	{"tel 9472 7916, call (9472 7916) phone: 94727916", "tel [phone], call ([phone]) phone: [phone]"},
	{"Tel. 9472 7916", "Tel. [phone]"},
	{"416 60 039 office", "[phone] office"},
	{"212-555-0199 x123 or 212-555-0199x77", "[phone] or [phone]"},
	{"电话+8613800138000。", "电话[phone]。"},
	{"555\u2011010\u20110199 and 555\u00a0010\u00a00199", "[phone] and [phone]"},
	{"555-010-0199,555-010-0200;555 010 0199", "[phone],[phone];[phone]"},
	{"3,0612345678 and call 12345678,90", "3,0612345678 and call 12345678,90"},
	{"my number is 9472 7916", "my number is [phone]"},

	// Cards.
	{"4111111111111111", "[card]"},
	{"5500-0000-0000-0004", "[card]"},
	{"3782 822463 10005.", "[card]."},
	{"card 4111 1111 1111 1111 123", "card [card] 123"},
	{"4111.1111.1111.1111, 4111111111111111,4242424242424242", "[card], [card],[card]"},
	{"4111111111111112", "4111111111111112"}, // check digit
	{"ABC4111111111111111", "ABC4111111111111111"},

	// Neither.
	{"nothing here, 12 apples on 2024-01-15", "nothing here, 12 apples on 2024-01-15"},
	{"12 555 010 0199 5 and 07 08 09 10 11 12", "12 555 010 0199 5 and 07 08 09 10 11 12"},
	{"clause 252.227-7013, digits 0123456789, `0847954331`", "clause 252.227-7013, digits 0123456789, `0847954331`"},
	{"15.01.2024, 2024/01/15 10:30, 1/15/2024, 2019-2024, 10:30:59.123456789", "15.01.2024, 2024/01/15 10:30, 1/15/2024, 2019-2024, 10:30:59.123456789"},
	{"$1,234,567.89 or 12 345 678 EUR or €4111111111111111 or 100000000", "$1,234,567.89 or 12 345 678 EUR or €4111111111111111 or 100000000"},
	{"pi is 3.14159265358979 and 0.123456789", "pi is 3.14159265358979 and 0.123456789"},
	{"1700000000 seconds, 1700000000000 ms, v10.0.19041.1234", "1700000000 seconds, 1700000000000 ms, v10.0.19041.1234"},
	{"192.168.100.200 and 8.8.8.8:8080", "192.168.100.200 and 8.8.8.8:8080"},
	{"ISBN 978-0-306-40615-7, ISBN 0306406152", "ISBN 978-0-306-40615-7, ISBN 0306406152"},
	{"550e8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-446655440000"},
	{"1 2 3 4 5 6 7 8 9 10 11 12 13 14 15", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15"},
	{"31 28 31 30 31 30 31 31 30 31 30 31", "31 28 31 30 31 30 31 31 30 31 30 31"},
	{"the population is 1 234 567 890", "the population is 1 234 567 890"},
	{"x = 2 + 3456789; f(1234567) + (12) 34", "x = 2 + 3456789; f(1234567) + (12) 34"},
	{"sha 4929ee01 07700e90012 INV-0612345678", "sha 4929ee01 07700e90012 INV-0612345678"},
	{"666-12-3456 000-12-3456 123-00-4567", "666-12-3456 000-12-3456 123-00-4567"},
	{"", ""},

	// Not UTF-8.
	{"a\xffb hello@example.com \xc3", "a\ufffdb [email] \ufffd"},
}

// TestRedact cuts each text at every place.
func TestRedact(t *testing.T) {
	p := load(t, examples.Redact, wasm.Options{})
	for _, c := range redacted {
		if got := redact(t, p, c.in); got != c.want {
			t.Errorf("%q\n gives %q\n want  %q", c.in, got, c.want)
			continue
		}
		for cut := 0; cut <= len(c.in); cut++ {
			if got := redact(t, p, c.in[:cut], c.in[cut:], ""); got != c.want {
				t.Errorf("%q | %q\n gives %q\n want  %q", c.in[:cut], c.in[cut:], got, c.want)
			}
		}
		s := open(t, p, nil)
		for i := range len(c.in) {
			s.feed(c.in[i:i+1], 0)
		}
		if got := s.end("", 0); got != c.want {
			t.Errorf("%q byte by byte gives %q", c.in, got)
		}
	}
}

// pieces are what random texts are made of: things to find, parts of them, and
// what stands around them.
var pieces = []string{
	"hello@example.com", "+1 555 010 0199", "4111 1111 1111 1111", "4111111111111111", "078-05-1120", "(37) 788-063",
	"0490 75 40 81", "@", ".", "-", "+", "(", ")", " ", " ", " ", "/", ",", ":", "x", "00", "0", "1", "55", "010", "4111", "0199",
	"word", "Tel. ", "call ", "card ", "number ", "office", "a", "b.co", "é", "ж", "中", "\u00a0", "\u2011", "€", "£", "'", "\n",
	"\xff", "\xc3", "\xe2\x80", "192.168.0.1", "2024-01-15", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "99999999999999999999",
}

func randomText(t *rapid.T) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 24).Draw(t, "pieces"), "")
}

// cuts takes a text apart at random places.
func cuts(t *rapid.T, text string) []string {
	var out []string
	for _, n := range rapid.SliceOfN(rapid.IntRange(0, 12), 0, 60).Draw(t, "cuts") {
		n = min(n, len(text))
		out = append(out, text[:n])
		text = text[n:]
	}
	return append(out, text)
}

// TestChunkingDoesNotMatter: the outcome depends on the text alone.
func TestChunkingDoesNotMatter(t *testing.T) {
	p := load(t, examples.Redact, wasm.Options{})
	rapid.Check(t, func(t *rapid.T) {
		text := randomText(t)
		whole := redact(t, p, text)
		if got := redact(t, p, cuts(t, text)...); got != whole {
			t.Fatalf("%q\n whole  %q\n pieces %q", text, whole, got)
		}
		if !utf8.ValidString(whole) {
			t.Fatalf("%q gives %q, which is not UTF-8", text, whole)
		}
		if again := redact(t, p, whole); again != whole && utf8.ValidString(text) {
			t.Logf("%q\n once  %q\n twice %q", text, whole, again)
		}
	})
}

// TestSequencesApart runs several texts side by side in one instance.
func TestSequencesApart(t *testing.T) {
	p := load(t, examples.Redact, wasm.Options{Instances: 1})
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 6).Draw(t, "sequences")
		streams, rest, want := make([]*stream, n), make([][]string, n), make([]string, n)
		for i := range n {
			text := randomText(t)
			want[i], rest[i], streams[i] = redact(t, p, text), cuts(t, text), open(t, p, nil)
		}
		for left := n; left > 0; {
			i := rapid.IntRange(0, n-1).Draw(t, "turn")
			if len(rest[i]) == 0 {
				continue
			}
			piece := rest[i][0]
			if rest[i] = rest[i][1:]; len(rest[i]) > 0 {
				streams[i].feed(piece, 0)
				continue
			}
			left--
			if got := streams[i].end(piece, 0); got != want[i] {
				t.Fatalf("sequence %d: %q\n alone %q", i, got, want[i])
			}
		}
	})
}

func TestManySequences(t *testing.T) {
	p := load(t, examples.Redact, wasm.Options{Instances: 1})
	var open256 []*stream
	for i := range 256 { // the rows of an instance
		open256 = append(open256, open(t, p, nil))
		open256[i].feed(fmt.Sprintf("%d hello@exam", i), 0)
	}
	for i, s := range open256 {
		if got, want := s.end("ple.com", 0), fmt.Sprintf("%d [email]", i); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for range 5000 { // slots come back
		if got := redact(t, p, "a@b.co"); got != "[email]" {
			t.Fatal(got)
		}
	}
}

// TestHoldIsShort: a word without end is let go but for what may be an address.
func TestHoldIsShort(t *testing.T) {
	p := load(t, examples.Redact, wasm.Options{})
	for _, text := range []string{"abcdefgh", "01234567", "+1 555 010 ", "é", "a.b-c", "(((", "1 ", "@x.", "x@y.", "0 "} {
		s := open(t, p, nil)
		for range 200 {
			s.feed(text, 0)
		}
		s.end("", 0)
		if s.most > 400 {
			t.Errorf("%q again and again: %d bytes held back", text, s.most)
		}
	}
	s := open(t, p, nil)
	s.feed("a sentence of plain words ", 0)
	if len(s.pending) != 0 {
		t.Errorf("%q held back", s.pending)
	}
}

func config(t fataler, v any) []byte {
	t.Helper()
	b, err := msgpack.Marshal(v)
	if err != nil {
		t.Fatalf("%v: %v", v, err)
	}
	return b
}

const everything = "hello@example.com +1 555 010 0199 4111111111111111 078-05-1120"

func TestRedactSettings(t *testing.T) {
	for _, c := range []struct {
		plugin, request any
		want            string
	}{
		{nil, nil, "[email] [phone] [card] [ssn]"},
		{map[string]any{"phone": "☎", "card": "", "ssn": nil}, nil, "[email] ☎  078-05-1120"},
		{map[string]any{"text": "x"}, map[string]any{"email": nil, "seed": 7}, "hello@example.com x x x"},
		{nil, map[string]any{"text": nil}, everything},
		{map[string]any{"email": strings.Repeat("=", 64)}, map[string]any{}, strings.Repeat("=", 64) + " [phone] [card] [ssn]"},
	} {
		p := load(t, examples.Redact, wasm.Options{Config: c.plugin})
		var own []byte
		if c.request != nil {
			own = config(t, c.request)
		}
		if got := open(t, p, own).end(everything, 0); got != c.want {
			t.Errorf("%v, %v: %q, want %q", c.plugin, c.request, got, c.want)
		}
	}
}

func TestRedactRefusesSettings(t *testing.T) {
	p := load(t, examples.Redact, wasm.Options{})
	for want, bad := range map[string]any{
		"unknown key fone":         map[string]any{"fone": "x"},
		"at most 64 bytes":         map[string]any{"phone": strings.Repeat("x", 65)},
		"nil or text":              map[string]any{"card": 3},
		"prompts is true or false": map[string]any{"prompts": "yes"},
		"want a map":               []int{1},
	} {
		if err := p.OpenSeq(1, config(t, bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, want %q", bad, err, want)
		}
	}
	if got := redact(t, p, "a@b.co"); got != "[email]" { // still there
		t.Error(got)
	}
}

// Prompts pass unless the settings say otherwise.
func TestPrompts(t *testing.T) {
	p := load(t, examples.Redact, wasm.Options{})
	if got := open(t, p, nil).end(everything, abi.FlagPrompt); got != everything {
		t.Error(got)
	}
	s := open(t, p, config(t, map[string]any{"prompts": true}))
	s.feed("I am a@b.co", abi.FlagPrompt|abi.FlagEnd)
	s.feed("You are a@b", 0)
	if got := s.end(".co.", 0); got != "I am [email]You are [email]." {
		t.Error(got)
	}
}

// TestTimeIsLinear: eight times the text takes about eight times the fuel, for
// texts made to be looked at again and again.
func TestTimeIsLinear(t *testing.T) {
	p := load(t, examples.Redact, wasm.Options{})
	for _, unit := range []string{"a", "@", "a@", "a@b.", "1 ", "0", "01 ", "+1 ", "(1) ", "4111 ", "4111111111111111", "call 555 ", "é", "\xff", "x@y.zz "} {
		fuel := func(n int) float64 {
			before := p.Stats().Fuel
			redact(t, p, strings.Repeat(unit, n))
			return float64(p.Stats().Fuel - before)
		}
		small, large := fuel(4000), fuel(32000)
		each := large / float64(32000*len(unit))
		t.Logf("%-20q %6.0f instructions a byte", unit, each)
		if large > 12*small || each > 2500 {
			t.Errorf("%q: fuel %.0f for 4000, %.0f for 32000", unit, small, large)
		}
	}
}

// TestLongText: megabytes at once, and then small ones again.
func TestLongText(t *testing.T) {
	p := load(t, examples.Redact, wasm.Options{})
	const n = 1 << 18
	want := strings.Repeat("[email], ", n)
	for range 2 {
		if got := redact(t, p, strings.Repeat("a@b.cc, ", n)); got != want {
			t.Fatalf("%d bytes, want %d", len(got), len(want))
		}
		if got := redact(t, p, "a@b", ".cc "); got != "[email] " {
			t.Fatal(got)
		}
	}
}

func BenchmarkRedact(b *testing.B) {
	prose := strings.Repeat("It was the best of times, it was the worst of times, it was the age of wisdom. ", 50)
	numbers := strings.Repeat("On 2024-01-15 we sold 1,250 units; call 555-010-0199 or write to a@b.co. ", 50)
	for _, c := range []struct {
		name, text string
		chunk      int
	}{{"prose/token", prose, 5}, {"numbers/token", numbers, 5}, {"prose/whole", prose, len(prose)}, {"numbers/whole", numbers, len(numbers)},
		{"worst/whole", strings.Repeat("01 ", 10000), 30000}} {
		b.Run(c.name, func(b *testing.B) {
			p := load(b, examples.Redact, wasm.Options{})
			s := open(b, p, nil)
			b.ReportAllocs()
			b.SetBytes(int64(c.chunk))
			for at := 0; b.Loop(); at += c.chunk {
				if at+c.chunk > len(c.text) {
					at = 0
				}
				s.feed(c.text[at:at+c.chunk], 0)
				s.out = s.out[:0]
			}
		})
	}
}
