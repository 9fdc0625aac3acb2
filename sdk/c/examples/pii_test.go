package examples_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/sandwarp/sandwarp/internal/testdata"
	"github.com/sandwarp/sandwarp/sdk/c/examples"
	"github.com/sandwarp/sandwarp/wasm"
)

// found are texts for a filter that looks for accounts and machines, too.
var found = []struct{ in, want string }{
	{"pay to DE89370400440532013000 or GB82 WEST 1234 5698 7654 32, now", "pay to [iban] or [iban], now"},
	{"FR1420041010050500013M02606.", "[iban]."},
	{"DE89370400440532013001 GB82 WEST 1234 5698 7654 33 XX89370400440532013000 DE8937040044053201300", "DE89370400440532013001 GB82 WEST 1234 5698 7654 33 XX89370400440532013000 DE8937040044053201300"},
	{"xDE89370400440532013000 DE893704004405320130001", "xDE89370400440532013000 DE893704004405320130001"},
	{"192.168.0.1", "[ip]"},
	{"from 10.0.0.255, to 8.8.8.8:8080.", "from [ip], to [ip]:8080."},
	{"at 1.2.3.4. Then", "at [ip]. Then"},
	{"256.1.1.1 1.2.3 1.2.3.4.5 v1.2.3.4 1.2.3.4a 1.2.3.", "256.1.1.1 1.2.3 1.2.3.4.5 v1.2.3.4 1.2.3.4a 1.2.3."},
	{"2001:db8::1, fe80::1ff:fe23:4567:890a ::1", "[ip], [ip] [ip]"},
	{"2001:0db8:85a3:0000:0000:8a2e:0370:7334.", "[ip]."},
	{"12:30:45 a:b std::vector 1:2:3:4:5:6:7 ab::cd x::1 :: ::x key: 5", "12:30:45 a:b std::vector 1:2:3:4:5:6:7 ab::cd x::1 :: ::x key: 5"},
	{"see https://example.com/a?b=c#d.", "see [url]."},
	{"(http://x.org/a_(b)), <ftp://a.b>; \"https://é.fr/ü\"", "([url]), <[url]>; \"[url]\""},
	{"https:// http:/x ://a.b a://b https", "https:// http:/x ://a.b a://b https"},
	{"https://user@host.example:8080/10.0.0.1", "[url]"},
	{"mail a@b.co from 10.0.0.1 or DE89370400440532013000", "mail [email] from [ip] or [iban]"},
	{"https://a.b/" + strings.Repeat("x", 500), "[url]" + strings.Repeat("x", 112)},
}

// TestPII cuts each text at every place.
func TestPII(t *testing.T) {
	p := load(t, examples.PII, wasm.Options{Config: m{"url": "[url]"}})
	for _, c := range found {
		for cut := 0; cut <= len(c.in); cut++ {
			if got := redact(t, p, c.in[:cut], c.in[cut:], ""); got != c.want {
				t.Errorf("%q | %q\n gives %q\n want  %q", c.in[:cut], c.in[cut:], got, c.want)
				break
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

// TestPIIRedacts: without its own kinds it does what redact does.
func TestPIIRedacts(t *testing.T) {
	p := load(t, examples.PII, wasm.Options{Config: m{"iban": nil, "ip": nil}})
	for _, c := range redacted {
		if got := redact(t, p, c.in); got != c.want {
			t.Errorf("%q\n gives %q\n want  %q", c.in, got, c.want)
		}
	}
}

// morePieces are pieces of what pii finds besides.
var morePieces = []string{"https://", "http", "://", "::", "fe80", "2001:db8::1", "DE89370400440532013000", "GB82 WEST 1234 ", "5698 7654 32", "DE"}

// TestPIIChunks: the outcome depends on the text alone.
func TestPIIChunks(t *testing.T) {
	p := load(t, examples.PII, wasm.Options{Config: m{"url": "[url]"}})
	parts := slices.Concat(pieces, morePieces)
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 0, 24).Draw(t, "pieces"), "")
		whole := redact(t, p, text)
		if got := redact(t, p, cuts(t, text)...); got != whole || !utf8.ValidString(whole) {
			t.Fatalf("%q\n whole  %q\n pieces %q", text, whole, got)
		}
	})
}

func TestPIIIsLinear(t *testing.T) {
	p := load(t, examples.PII, wasm.Options{Config: m{"url": "[url]"}})
	for _, unit := range []string{"a", "a@b.", "01 ", "4111 ", "call 555 ", "é", ":", "a:", "1.", "a://", "http://x", "DE89 ", "GB82WEST1"} {
		fuel := func(n int) float64 {
			before := p.Stats().Fuel
			redact(t, p, strings.Repeat(unit, n))
			return float64(p.Stats().Fuel - before)
		}
		small, large := fuel(4000), fuel(32000)
		if each := large / float64(32000*len(unit)); large > 12*small || each > 2500 {
			t.Errorf("%q: fuel %.0f for 4000, %.0f for 32000, %.0f a byte", unit, small, large, each)
		}
	}
}

func TestPIISettings(t *testing.T) {
	const text = "a@b.co 10.0.0.1 http://x.y DE89370400440532013000"
	for want, settings := range map[string]any{
		"[email] [ip] http://x.y [iban]": nil, "x x http://x.y x": m{"text": "x"}, text: m{"text": nil}, "a@b.co [ip] ! [iban]": m{"url": "!", "email": nil},
	} {
		p := load(t, examples.PII, wasm.Options{Config: settings})
		if got := redact(t, p, text); got != want {
			t.Errorf("%v: %q, want %q", settings, got, want)
		}
	}
}

// TestPIIOnLabelledText measures recall and precision by kind, those redact knows
// and its own. The corpus has no e-mail address and no IBAN: that nothing is taken
// for one is worth knowing.
func TestPIIOnLabelledText(t *testing.T) {
	var rows []labelled
	testdata.JSON(t, &rows, "safety", "pii.json")
	p := load(t, examples.PII, wasm.Options{Config: m{"url": "[url]"}})
	for kind, label := range map[string]string{
		"PHONE_NUMBER": "[phone]", "CREDIT_CARD": "[card]", "US_SSN": "[ssn]", "EMAIL_ADDRESS": "[email]", "IBAN_CODE": "[iban]", "IP_ADDRESS": "[ip]", "DOMAIN_NAME": "[url]",
	} {
		labelled, found, wrong := 0, 0, 0
		for _, row := range rows {
			out := redact(t, p, row.Text)
			left := strings.Count(out, label)
			for _, s := range row.Spans {
				if s[2] != kind {
					continue
				}
				labelled++
				if left > 0 && !strings.Contains(out, s[3].(string)) {
					found++
					left--
				}
			}
			wrong += left
		}
		t.Logf("%-13s %3d labelled, recall %.3f, precision %.3f", kind, labelled, float64(found)/float64(max(labelled, 1)), float64(found)/float64(max(found+wrong, 1)))
		if float64(found) < 0.97*float64(labelled) || wrong > 0 {
			t.Errorf("%s: %d of %d found, %d others", kind, found, labelled, wrong)
		}
	}
}
