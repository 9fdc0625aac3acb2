package plugintest

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/internal/testdata"
	"github.com/sandwarp/sandwarp/wasm"
)

// Vectors are the ABI's golden bytes by name, in hex.
func Vectors(t testing.TB) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testdata.Root(), "abi", "testdata", "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) < 13 {
		t.Errorf("%d vectors", len(all))
	}
	return all
}

// values are msgpack values that a reader must take and a writer give back.
var values = []string{
	"c0", "c3", "7f", "cc80", "cdffff", "ce00010000", "cfffffffffffffffff", "ff", "d080", "d18000", "d280000000", "d38000000000000000",
	"cb3ff8000000000000", "a0", "93c0a161c40100", "81a16b92c2cb0000000000000000", "cf8000000000000000", "d1ff7f",
}

// malformed are bytes that a reader must refuse: forms that are not allowed, values
// that are cut off, counts beyond the bytes there are.
var malformed = []string{"c1", "d40100", "a5", "dfffffffff", "dd7fffffff", "cd00", "9191", "c7"}

// GoldenFile is Golden for a committed module.
func GoldenFile(t *testing.T, path string) {
	t.Helper()
	module, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	Golden(t, module)
}

// Golden loads a filter that takes a text "NAME HEX", reads the bytes as what the name
// says and answers with the hex of what it writes of that. It must give each vector
// back; "row_picked" is what it makes of "row_in", and "value" is any value.
func Golden(t *testing.T, module []byte) {
	t.Helper()
	p, err := wasm.Load(context.Background(), module, wasm.Options{CacheDir: CacheDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	all := Vectors(t)
	same := func(name, in, want string) {
		t.Helper()
		if got, err := answer(t, p, name+" "+in); err != nil || got != want {
			t.Errorf("%s of %s: %v\n got  %s\n want %s", name, in, err, got, want)
		}
	}
	for name, want := range all {
		in := want
		if name == "row_picked" {
			in = all["row_in"]
		}
		same(name, in, want)
	}
	for _, v := range values {
		same("value", v, v)
	}
	for _, name := range []string{"configure", "configure_empty", "seq_open"} {
		same(name, later(t, all[name]), all[name]) // a key it does not know is skipped
	}
	refuse := func(name, in string) {
		t.Helper()
		if got, err := answer(t, p, name+" "+in); err == nil {
			t.Errorf("%s of %s is read as %q", name, in, got)
		}
	}
	for _, bad := range malformed {
		refuse("value", bad)
	}
	for _, name := range []string{"configure", "seq_open", "frame_header_dense_slots_1_2_of_3", "row_in"} {
		refuse(name, all[name][:len(all[name])-2]) // cut off
		refuse(name, all[name]+"c0")               // something left over
	}
}

// later is a message as a later minor version may send it, with a key more.
func later(t *testing.T, message string) string {
	t.Helper()
	b, err := hex.DecodeString(message)
	if err != nil || b[0] < 0x80 || b[0] >= 0x8f {
		t.Fatalf("%s is no small map, %v", message, err)
	}
	b[0]++
	b = abi.AppendArray(abi.AppendString(b, "later"), 2)
	return hex.EncodeToString(abi.AppendFloat(abi.AppendMap(b, 0), 1))
}

func answer(t *testing.T, p *wasm.Plugin, text string) (string, error) {
	t.Helper()
	if err := p.OpenSeq(1, nil); err != nil {
		t.Fatal(err)
	}
	defer p.CloseSeq(1)
	out, _, _, err := p.Filter(1, []byte(text), abi.FlagEnd)
	return string(out), err
}
