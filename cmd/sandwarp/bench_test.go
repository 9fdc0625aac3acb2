package main

import (
	"bytes"
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	sandwarp "github.com/sandwarp/sandwarp/runtime"
)

// A model split between two backends is no share of either's limits.
func TestBenchSplit(t *testing.T) {
	m, err := newMeter("cpu+ptx", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	l, err := m.measure()
	if err != nil || l != (limits{}) {
		t.Errorf("%+v, %v", l, err)
	}
	r := benchResult{Backend: "cpu+ptx", Test: "tg8", Threads: 1, Rate: 20, Samples: []float64{20}}
	if got := strings.Split(r.line(), "\t"); len(got) != 7 || got[4] != "-" || got[5] != "-" || got[6] != "none measured on cpu+ptx" {
		t.Errorf("%q", got)
	}
}

// The help lists every field of the JSON, and no other.
func TestBenchHelpNamesTheFields(t *testing.T) {
	_, list, _ := strings.Cut(benchHelp, "The fields of -o json")
	_, list, _ = strings.Cut(list, ":\n")
	var told []string
	for _, line := range strings.Split(list, "\n") {
		names, _, _ := strings.Cut(strings.TrimLeft(line, " "), "  ")
		if strings.HasPrefix(line, "   ") { // goes on
			continue
		}
		stem := ""
		for _, n := range strings.Split(names, ", ") {
			if strings.HasPrefix(n, "_") { // _max of x_min
				n = stem[:strings.LastIndexByte(stem, '_')] + n
			}
			stem = n
			told = append(told, n)
		}
	}
	var have []string
	for f := range reflect.TypeFor[benchResult]().Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			have = append(have, name)
		}
	}
	slices.Sort(told)
	slices.Sort(have)
	if !slices.Equal(told, have) {
		t.Errorf("the help names %v\nthe JSON has %v", told, have)
	}
}

// Shares are of the larger limit before or after each sample, gains of one sequence
// in the same round.
func TestBenchResult(t *testing.T) {
	limit := func(read, peak float64) (l limits) {
		l.cpu.ReadBandwidth, l.cpu.IntPeak = read, peak
		return l
	}
	one := benchTest{name: "tg4x1", sequences: 1, batch: true}
	four := benchTest{name: "tg4x4", sequences: 4, batch: true}
	one.add(10, limit(1000, 8000), limit(2000, 4000))
	one.add(20, limit(4000, 8000), limit(1000, 4000))
	four.add(30, limit(2000, 8000), limit(1000, 4000))
	four.add(40, limit(500, 8000), limit(2000, 4000))
	all := []benchTest{one, four}
	r := four.result(benchResult{Backend: "cpu"}, sandwarp.Info{StepBytes: 100, StepWeights: 50}, all)
	if r.Rate != 35 || r.Gain != 2.5 { // 30/10 and 40/20
		t.Errorf("rate %v, gain %v", r.Rate, r.Gain)
	}
	// 35 tokens in 8.75 steps of 100 bytes, of 2000; 35 * 100 operations of 8000.
	if r.ReadShare != 0.4375 || r.VNNIShare != 0.4375 || r.ReadBandwidth != 2000 || r.ReadMin != 500 || r.ReadMax != 2000 {
		t.Errorf("%+v", r)
	}
	prompt := benchTest{name: "pp8"}
	prompt.add(80, limit(0, 8000), limit(0, 4000))
	if r := prompt.result(benchResult{}, sandwarp.Info{StepWeights: 50, PromptWeights: 30}, nil); r.VNNIShare != 0.6 || r.ReadShare != 0 {
		t.Errorf("a prompt: %+v", r) // 80 * 60 operations of 8000
	}
	if line := r.line(); !strings.Contains(line, "35.0 tok/s, x2.50") || !strings.Contains(line, "30.0-40.0\t44%") {
		t.Errorf("%q", line)
	}
}

// Only the time in which all sequences decode counts.
func TestBenchTogether(t *testing.T) {
	zero := time.Now()
	at := func(seconds ...int) (v []time.Time) {
		for _, s := range seconds {
			v = append(v, zero.Add(time.Duration(s)*time.Second))
		}
		return v
	}
	// From 2 to 6: 3 4 5 6 of the one, 4 6 of the other.
	if got := together([][]time.Time{at(1, 2, 3, 4, 5, 6), at(2, 4, 6, 8)}); got != 6.0/4 {
		t.Errorf("%v tokens a second, want 1.5", got)
	}
	// One that had hardly anything of the other: 4 tokens from 1 to 9.
	if got := together([][]time.Time{at(1, 2, 3), at(3, 5, 9)}); got != 4.0/8 {
		t.Errorf("%v tokens a second of sequences that hardly met, want 0.5", got)
	}
}

// The rows beside speed, in a real run.
func TestBenchRows(t *testing.T) {
	var rows []benchResult
	out := command(t, "", "bench", "-p", "8", "-n", "8", "-r", "1", "-t", "1", "--batch", "2", "--load", "--memory", "--backend", "cpu", "-o", "json")
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		t.Fatal(err)
	}
	var tests []string
	for _, r := range rows {
		tests = append(tests, r.Test)
	}
	if want := []string{"load", "pp8", "tg8", "tg8x1", "tg8x2", "memory"}; !slices.Equal(tests, want) {
		t.Fatalf("tests %v, want %v", tests, want)
	}
	if load := rows[0]; !(load.Seconds > 0 && load.Seconds < 60) || load.Rate != 0 {
		t.Errorf("load: %+v", load)
	}
	if r := rows[4]; r.Sequences != 2 || !(r.Gain > 0) || !(r.ReadShare > 0 && r.ReadMin > 0 && r.ReadMin <= r.ReadBandwidth && r.ReadBandwidth <= r.ReadMax) {
		t.Errorf("two sequences: %+v", r)
	}
	memory := rows[5]
	if _, err := residentMemory(""); err != nil {
		t.Skip("no memory row: ", err)
	}
	if sum := memory.RSSWeights + memory.RSSCache + memory.RSSRepacked + memory.RSSBeyond; memory.RSS < 1<<20 || sum != memory.RSS || memory.RSSCache == 0 {
		t.Errorf("memory: %+v", memory)
	}
	var table bytes.Buffer
	if err := (&bencher{io: streams{out: &table}}).table(rows); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`(?m)^load +1 +[0-9.]+ s +`, `(?m)^tg8x2 +1 +[0-9.]+ tok/s, x[0-9.]+ +`, `(?m)^memory +1 +.*beyond .* of weights, .* repacked, .* of KV cache$`} {
		if !regexp.MustCompile(want).Match(table.Bytes()) {
			t.Errorf("%s\nlacks %s", &table, want)
		}
	}
}
