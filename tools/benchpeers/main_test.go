package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// What llama-bench prints, with the messages that some versions put in its way.
const peerOutput = `WARNING: tensors are not repacked
[
  {
    "build_commit": "0000000",
    "n_prompt": 8,
    "n_gen": 0,
    "avg_ts": 100.0,
    "samples_ts": [ 100.0 ]
  }
Behavior may be unexpected
  ,{
    "n_prompt": 0,
    "n_gen": 4,
    "avg_ts": 20.0
  }
]
`

func TestParseLlamaBench(t *testing.T) {
	rows, err := parseLlamaBench([]byte(peerOutput))
	if err != nil || rows["pp8"].rate != 100 || rows["tg4"].rate != 20 || len(rows) != 2 {
		t.Errorf("%v, %v", rows, err)
	}
	for _, bad := range []string{"", "no model", "[{]"} {
		if rows, err := parseLlamaBench([]byte(bad)); err == nil {
			t.Errorf("%q gave %v", bad, rows)
		}
	}
}

func TestParseSandwarp(t *testing.T) {
	rows, err := parseSandwarp([]byte(`[{"test":"pp8","tokens_per_second":300,"vnni_share":0.5,"read_bandwidth_share":0.1},
		{"test":"tg4","tokens_per_second":30,"vnni_share":0.1,"read_bandwidth_share":0.9}]`))
	if err != nil || rows["pp8"] != (row{300, 0.5}) || rows["tg4"] != (row{30, 0.9}) {
		t.Errorf("%v, %v", rows, err)
	}
	if _, err := parseSandwarp([]byte("sandwarp: no model")); err == nil {
		t.Error("a message is no result")
	}
}

// Medians of rates and of the ratios of each round.
func TestLine(t *testing.T) {
	got := line("m", "tg4", []samples{{[]float64{30, 60, 90}, []float64{0.5, 0.8, 0.9}}, {[]float64{20, 20, 90}, nil}})
	if want := "| m | tg4 | 60 (30-90) | 80% of read bandwidth | 20 (20-90) | 1.50 (1.00-3.00) |\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Programs that speak as the engines do, run in turn.
func TestCompare(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the doubles are shell scripts")
	}
	dir := t.TempDir()
	order := filepath.Join(dir, "order")
	script := func(name, out string) string {
		path := filepath.Join(dir, name)
		text := "#!/bin/sh\necho " + name + " $* >>" + order + "\ncat <<'END'\n" + out + "\nEND\n"
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ours := script("ours", `[{"test":"pp8","tokens_per_second":300,"vnni_share":0.5},{"test":"tg4","tokens_per_second":30,"read_bandwidth_share":0.9}]`)
	peer := script("peer", peerOutput)
	c, models, err := commandLine([]string{"-sandwarp", ours + " --backend cpu", "-peer", "other=" + peer + " -rtr 1", "-p", "8", "-n", "4", "-t", "1", "-r", "2", "a.gguf"})
	if err != nil {
		t.Fatal(err)
	}
	all, err := c.compare(context.Background(), models)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := writeTable(&b, all, c.engines); err != nil {
		t.Fatal(err)
	}
	want := "| model | test | sandwarp tok/s | share of limit | other tok/s | ratio |\n|---|---|---|---|---|---|\n" +
		"| a | pp8 | 300 (300-300) | 50% of int8 peak | 100 (100-100) | 3.00 (3.00-3.00) |\n" +
		"| a | tg4 | 30 (30-30) | 90% of read bandwidth | 20 (20-20) | 1.50 (1.50-1.50) |\n"
	if b.String() != want {
		t.Errorf("%s\nwant\n%s", &b, want)
	}
	log, err := os.ReadFile(order)
	if err != nil {
		t.Fatal(err)
	}
	once := "ours bench -m a.gguf -p 8 -n 4 -t 1 -r 1 -o json --backend cpu\npeer -m a.gguf -p 8 -n 4 -t 1 -r 1 -o json -rtr 1\n"
	if string(log) != once+once {
		t.Errorf("ran %s", log)
	}
}

func TestCommandLine(t *testing.T) {
	for _, bad := range [][]string{{}, {"-p", "0", "a"}, {"-peer", "llama-bench", "a"}, {"-peer", "=x", "a"}, {"-r", "0", "a"}} {
		if _, _, err := commandLine(bad); err == nil {
			t.Errorf("%q is no error", bad)
		}
	}
}

// A program that fails is named with the last thing it said.
func TestFailingEngine(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the double is a shell script")
	}
	path := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho first >&2\necho no such model >&2\nexit 4\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	c, models, err := commandLine([]string{"-sandwarp", path, "a.gguf"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = c.compare(context.Background(), models); err == nil || !strings.Contains(err.Error(), "sandwarp on a.gguf") || !strings.HasSuffix(err.Error(), "no such model") {
		t.Errorf("%v", err)
	}
}
