package wasm

import (
	"bytes"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// TestBytesAreCounted shows plugins of each kind something of a known size.
func TestBytesAreCounted(t *testing.T) {
	const vocab = 1000
	for name, c := range map[string]struct {
		guest   *guestModule
		call    func(p *Plugin) error
		in, out uint64
	}{
		"filter": {newGuest(abi.KindFilter, ""), func(p *Plugin) error {
			_, _, _, err := p.Filter(1, []byte("hello"), abi.FlagEnd)
			return err
		}, 5, 5},
		"a pick": {newGuest(abi.KindSampler, abi.ModeCandidates).with(abi.ExportSample, choose(abi.ChoicePick, 5)), func(p *Plugin) error {
			_, err := p.Process(1, nil, ramp(vocab))
			return err
		}, abi.DefaultCandidates * abi.CandidateSize, 4},
		"the best": {newGuest(abi.KindSampler, abi.ModeCandidates).with(abi.ExportSample, choose(abi.ChoiceEdit, 0)), func(p *Plugin) error {
			_, _, err := p.ProcessTop(1, nil, vocab, []int32{3, 4}, []float32{2, 1}, nil)
			return err
		}, 2 * abi.CandidateSize, 2 * abi.CandidateSize},
		"dense": {newGuest(abi.KindSampler, abi.ModeDense).with(abi.ExportSample, choose(abi.ChoiceEdit, 0)), func(p *Plugin) error {
			_, err := p.Process(1, nil, ramp(vocab))
			return err
		}, 4 * vocab, 4 * vocab},
		"nothing": {newGuest(abi.KindSampler, abi.ModeMask), func(p *Plugin) error {
			_, err := p.Process(1, nil, ramp(vocab))
			return err
		}, 0, 0},
		"a mask": {newGuest(abi.KindSampler, abi.ModeMask).with(abi.ExportSample,
			framePtr, framePtr, I32Load(40), I32Add, I32Const(1), I32Store(0), choose(abi.ChoiceMask, 0)), func(p *Plugin) error {
			_, err := p.Process(1, nil, ramp(vocab))
			return err
		}, 0, (vocab + 31) / 32 * 4},
		"tokenizer": {newGuest(abi.KindTokenizer, ""), func(p *Plugin) error {
			_, err := p.Encode(nil, "hello", false)
			return err
		}, 5, 0},
	} {
		p := c.guest.load(t, Options{})
		if p.Manifest().Kind != abi.KindTokenizer {
			open(t, p, 1)
		}
		if err := c.call(p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if s := p.Stats(); s.BytesIn != c.in || s.BytesOut != c.out {
			t.Errorf("%s: %d bytes in, %d out; want %d, %d", name, s.BytesIn, s.BytesOut, c.in, c.out)
		}
	}
}

// TestLogger wants lines as records of the right level that name the plugin, whatever
// bytes they hold.
func TestLogger(t *testing.T) {
	for level, want := range []string{"DEBUG", "INFO", "WARN", "ERROR", "ERROR"} {
		g := newGuest(abi.KindFilter, "")
		log := g.Import("sw1", "log", []byte{I32, I32, I32}, []byte{I32})
		g.Data(64, []byte("odd \xff\nline"))
		g.with(abi.ExportSeqOpen, I32Const(int32(level)), I32Const(64), I32Const(10), Call(log))
		var out bytes.Buffer
		p := g.load(t, Options{Name: "talker", Logger: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		open(t, p, 1)
		line := regexp.MustCompile(`^time=\S+ level=` + want + ` msg="odd \?\\nline" plugin=talker\n$`)
		if !line.MatchString(out.String()) || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("level %d: %q", level, &out)
		}
	}
}

// Faults are warnings in the log: also those that no request notices.
func TestFaultsAreLogged(t *testing.T) {
	for policy, then := range map[Policy]string{FailOpen: "goes on without it", FailClosed: "the request fails"} {
		var out bytes.Buffer
		g := newGuest(abi.KindSampler, abi.ModeMask).with(abi.ExportSample, endless, zero)
		g.manifest.Fuel = 3000
		p := g.load(t, Options{Name: "endless", OnFault: policy, Logger: slog.New(slog.NewTextHandler(&out, nil))})
		open(t, p, 1)
		for range 4 {
			newStep(1).run(p)
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 3 {
			t.Fatalf("%v: %d lines of 3 faults and a call that was not made:\n%s", policy, len(lines), out.String())
		}
		for _, want := range []string{"level=WARN", "plugin=endless", "call=sw_sample", `reason="out of fuel"`,
			"more than 3000 instructions (fuel in the manifest)", then} {
			if !strings.Contains(lines[0], want) {
				t.Errorf("%v: %s: want %q", policy, lines[0], want)
			}
		}
		if strings.Contains(lines[1], "left_alone_for") || !strings.Contains(lines[2], "left_alone_for=1s") {
			t.Errorf("%v: the third fault in a row opens the breaker:\n%s", policy, out.String())
		}
	}
}

// The last fault is what Stats counted last; a plugin prints as its name and kind.
func TestLastFault(t *testing.T) {
	p := newGuest(abi.KindSampler, abi.ModeMask).with(abi.ExportSample, Unreachable).load(t, Options{Name: "traps"})
	if p.LastFault() != nil || p.String() != "traps sampler" {
		t.Errorf("%v of %v before a call", p.LastFault(), p)
	}
	open(t, p, 1)
	newStep(1).run(p)
	if f := p.LastFault(); f == nil || f.Reason != ReasonTrap || f.Call != abi.ExportSample {
		t.Errorf("%v", f)
	}
}
