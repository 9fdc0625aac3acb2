package examples_test

import (
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/internal/testdata"
	"github.com/sandwarp/sandwarp/sdk/c/examples"
	"github.com/sandwarp/sandwarp/wasm"
)

// labelled is a text with the places somebody marked in it.
type labelled struct {
	Text  string   `json:"text"`
	Spans [][4]any `json:"spans"` // from, to (characters), kind, text
}

// kinds are the labels the filter writes, by the corpus's names, and the recall
// and precision that must be reached, a little below what is. The corpus has no
// e-mail address.
var kinds = map[string]struct {
	label             string
	recall, precision float64
}{
	"PHONE_NUMBER":  {"[phone]", 0.95, 0.97},
	"CREDIT_CARD":   {"[card]", 0.98, 0.99},
	"US_SSN":        {"[ssn]", 0.99, 0.99},
	"EMAIL_ADDRESS": {"[email]", 0, 0.99},
}

// TestLabelledText measures recall and precision by kind: of what was labelled,
// how much is gone; of what is gone, how much was labelled.
func TestLabelledText(t *testing.T) {
	var rows []labelled
	testdata.JSON(t, &rows, "safety", "pii.json")
	p := load(t, examples.Redact, wasm.Options{})
	want, found, wrong := map[string]int{}, map[string]int{}, map[string]int{}
	for _, row := range rows {
		out := redact(t, p, row.Text)
		for kind, k := range kinds {
			left := strings.Count(out, k.label)
			for _, s := range row.Spans {
				if s[2] != kind {
					continue
				}
				want[kind]++
				if left == 0 || strings.Contains(out, s[3].(string)) {
					t.Logf("missed %s %q in %q", kind, s[3], out)
					continue
				}
				left--
				found[kind]++
			}
			if left > 0 {
				wrong[kind] += left
				t.Logf("%d %s too much in %q", left, k.label, out)
			}
		}
	}
	for kind, k := range kinds {
		recall := float64(found[kind]) / float64(max(want[kind], 1))
		precision := float64(found[kind]+1) / float64(found[kind]+wrong[kind]+1)
		t.Logf("%-13s %3d labelled, %3d found, %d others taken for one", kind, want[kind], found[kind], wrong[kind])
		if recall < k.recall || precision < k.precision {
			t.Errorf("%s: recall %.3f, precision %.3f, want %.2f and %.2f", kind, recall, precision, k.recall, k.precision)
		}
	}
}

// TestOrdinaryText: texts with plenty of numbers, and nobody's data, stay as they
// are. The moderation set's fifty thousand words have one run of digits after the
// word PhoneNumber, from a page somebody scraped.
func TestOrdinaryText(t *testing.T) {
	p := load(t, examples.Redact, wasm.Options{})
	for file, most := range map[string]int{"request.json": 0, "moderation.json": 1, "jailbreak.json": 0} {
		var rows []labelled
		testdata.JSON(t, &rows, "safety", file)
		changed, bytes := 0, 0
		for _, row := range rows {
			bytes += len(row.Text)
			out := redact(t, p, row.Text)
			for _, k := range kinds {
				if n := strings.Count(out, k.label) - strings.Count(row.Text, k.label); n > 0 && k.label != "[email]" {
					changed += n
					t.Logf("%s in %q", k.label, cutOut(out, k.label))
				}
			}
		}
		t.Logf("%s: %d replaced in %d bytes", file, changed, bytes)
		if changed > most {
			t.Errorf("%s: %d replaced, want at most %d", file, changed, most)
		}
	}
}

// cutOut is the label with what stands around it.
func cutOut(s, label string) string {
	i := strings.Index(s, label)
	return s[max(0, i-60):min(len(s), i+60)]
}
