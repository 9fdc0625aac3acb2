package wasm

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
)

// testKey is a key made of one byte, for tests.
func testKey(b byte) (ed25519.PrivateKey, ed25519.PublicKey) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize))
	return key, key.Public().(ed25519.PublicKey)
}

func mustSign(t testing.TB, module []byte, key ed25519.PrivateKey) []byte {
	t.Helper()
	b, err := Sign(module, key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The vectors are normative: what others write must be read, and the other way
// round.
func TestSignatureGolden(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "abi", "testdata", "signature.json"))
	if err != nil {
		t.Fatal(err)
	}
	var g struct {
		Seed, PublicKey, KeyID, Module, Message, Signature, Signed string
		PublicFile, PrivateFile, SignatureFile                     string
	}
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	key := ed25519.NewKeyFromSeed(unhex(g.Seed))
	pub := key.Public().(ed25519.PublicKey)
	module := unhex(g.Module)
	s := SignDetached(module, key)
	for _, c := range []struct {
		what      string
		got, want []byte
	}{
		{"public key", pub, unhex(g.PublicKey)},
		{"key id", s.Key[:], unhex(g.KeyID)},
		{"message", message(module), unhex(g.Message)},
		{"signature", s.Bytes[:], unhex(g.Signature)},
		{"signed module", mustSign(t, module, key), unhex(g.Signed)},
		{"public key file", FormatPublicKey(pub, "a public key"), []byte(g.PublicFile)},
		{"private key file", FormatPrivateKey(key, "a private key"), []byte(g.PrivateFile)},
		{"signature file", s.Format("a signature"), []byte(g.SignatureFile)},
	} {
		if !bytes.Equal(c.got, c.want) {
			t.Errorf("%s:\n got %x\nwant %x", c.what, c.got, c.want)
		}
	}
	keys, err := ParsePublicKeys([]byte(g.PublicFile))
	if err != nil || len(keys) != 1 || !keys[0].Equal(pub) {
		t.Error(keys, err)
	}
	if k, err := ParsePrivateKey([]byte(g.PrivateFile)); err != nil || !k.Equal(key) {
		t.Error(err)
	}
	if p, err := ParseSignature([]byte(g.SignatureFile)); err != nil || *p != *s {
		t.Error(err)
	}
}

// Every bit of a signed module and of a detached signature counts.
func TestSignatureCoversAll(t *testing.T) {
	key, pub := testKey(1)
	module := newGuest(abi.KindFilter, "").bytes()
	signed := mustSign(t, module, key)
	if _, err := Verify(signed, nil, pub); err != nil {
		t.Fatal(err)
	}
	for bit := range len(signed) * 8 {
		bad := bytes.Clone(signed)
		bad[bit/8] ^= 1 << (bit % 8)
		if _, err := Verify(bad, nil, pub); !errors.Is(err, ErrSignature) {
			t.Fatalf("bit %d of %d: %v", bit, len(signed)*8, err)
		}
	}
	s := SignDetached(module, key)
	for bit := range (len(s.Key) + len(s.Bytes)) * 8 {
		bad := *s
		if at := bit / 8; at < len(bad.Key) {
			bad.Key[at] ^= 1 << (bit % 8)
		} else {
			bad.Bytes[at-len(bad.Key)] ^= 1 << (bit % 8)
		}
		if _, err := Verify(module, &bad, pub); !errors.Is(err, ErrSignature) {
			t.Fatalf("bit %d: %v", bit, err)
		}
	}
	for _, b := range [][]byte{signed[:len(signed)-1], append(bytes.Clone(signed), 0), signed[1:], module, nil} {
		if _, err := Verify(b, nil, pub); !errors.Is(err, ErrSignature) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
}

// Signing again replaces the signature; what is signed loads as before.
func TestSignedModulesLoad(t *testing.T) {
	key1, pub1 := testKey(1)
	key2, pub2 := testKey(2)
	module := newGuest(abi.KindFilter, "").bytes()
	once := mustSign(t, module, key1)
	twice := mustSign(t, once, key2)
	if len(once) != len(twice) || !bytes.HasPrefix(twice, module) {
		t.Errorf("%d, %d, %d bytes", len(module), len(once), len(twice))
	}
	load := func(b []byte, o Options) (*Plugin, error) {
		p, err := Load(context.Background(), b, o)
		if err == nil {
			t.Cleanup(func() { p.Close() })
			open(t, p, 1)
			if out, _, _, err := p.Filter(1, []byte("x"), 0); string(out) != "x" || err != nil {
				t.Error(out, err)
			}
		}
		return p, err
	}
	p, err := load(once, Options{SignedBy: []ed25519.PublicKey{pub2, pub1}})
	if err != nil || p.SignedBy() != KeyIDOf(pub1).String() {
		t.Error(err)
	}
	if p, err := load(once, Options{}); err != nil || p.SignedBy() != "" {
		t.Error(err)
	}
	if _, err := load(module, Options{SignedBy: []ed25519.PublicKey{pub1}, Signature: SignDetached(module, key1)}); err != nil {
		t.Error(err)
	}
	// A detached signature may stand over a signature by somebody else.
	if _, err := load(once, Options{SignedBy: []ed25519.PublicKey{pub2}, Signature: SignDetached(once, key2)}); err != nil {
		t.Error(err)
	}
	id1, id2 := KeyIDOf(pub1).String(), KeyIDOf(pub2).String()
	for _, c := range []struct {
		what   string
		module []byte
		o      Options
		want   []string
	}{
		{"unsigned", module, Options{SignedBy: []ed25519.PublicKey{pub1}}, []string{"no signature", id1}},
		{"by another", twice, Options{SignedBy: []ed25519.PublicKey{pub1}}, []string{"signed by key " + id2, "trusted keys: " + id1}},
		{"nobody is trusted", once, Options{SignedBy: []ed25519.PublicKey{}}, []string{"trusted keys: none"}},
		{"changed", append(bytes.Clone(module), once[len(module):]...), Options{}, nil},
		{"short key", once, Options{SignedBy: []ed25519.PublicKey{pub1[:5]}}, []string{"public key of 5 bytes"}},
	} {
		if c.what == "changed" {
			c.module[len(module)-1] ^= 1
			c.o.SignedBy, c.want = []ed25519.PublicKey{pub1}, []string{id1, "does not fit"}
		}
		refused(t, c.what, c.module, c.o, c.want...)
	}
}

// A signature section that is not last, of another form or there twice is refused
// even where nobody asks for signatures.
func TestSignatureForm(t *testing.T) {
	key, _ := testKey(1)
	module := newGuest(abi.KindFilter, "").bytes()
	section := mustSign(t, module, key)[len(module):]
	custom := func(name string, data []byte) []byte {
		body := append(append([]byte{byte(len(name))}, name...), data...)
		return append([]byte{0, byte(len(body))}, body...)
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	refused(t, "twice", join(module, section, section), Options{}, "2 sections sw.signature")
	refused(t, "not last", join(module, section, custom("x", nil)), Options{}, "not the last one")
	refused(t, "empty", join(module, custom(abi.SignatureSection, nil)), Options{}, "malformed")
	refused(t, "too long", join(module, custom(abi.SignatureSection, make([]byte, 77))), Options{}, "malformed")
	long := bytes.Clone(section)
	long = append([]byte{0, long[1] | 0x80, 0}, long[2:]...) // another encoding of the size
	refused(t, "long size", join(module, long), Options{}, "malformed")
	if _, err := Sign(join(module, section, custom("x", nil)), key); err == nil {
		t.Error("signed a module with a signature inside")
	}
	if _, err := Sign([]byte("no module"), key); err == nil {
		t.Error("signed what is no module")
	}
}

func TestLoadFileWithSignature(t *testing.T) {
	key, pub := testKey(1)
	dir := t.TempDir()
	path := filepath.Join(dir, "p.wasm")
	module := newGuest(abi.KindFilter, "").bytes()
	write := func(path string, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(path, module)
	o := Options{SignedBy: []ed25519.PublicKey{pub}}
	if _, err := LoadFile(context.Background(), path, o); !errors.Is(err, ErrSignature) {
		t.Error(err)
	}
	write(path+".sig", SignDetached(module, key).Format("by a test"))
	p, err := LoadFile(context.Background(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	write(path+".sig", []byte("junk"))
	if _, err := LoadFile(context.Background(), path, o); err == nil || !strings.Contains(err.Error(), "p.wasm.sig") {
		t.Error(err)
	}
}

func TestKeyFiles(t *testing.T) {
	key, pub := testKey(1)
	_, pub2 := testKey(2)
	two := append(FormatPublicKey(pub, "line one\nswp1AAAA\x00"), FormatPublicKey(pub2, "")...)
	keys, err := ParsePublicKeys(bytes.ReplaceAll(two, []byte("\n"), []byte("\r\n")))
	if err != nil || len(keys) != 2 || !keys[0].Equal(pub) || !keys[1].Equal(pub2) {
		t.Errorf("%v %v", keys, err)
	}
	wrongID := base64.StdEncoding.EncodeToString(record(abi.PublicKeyTag, KeyID{1}, pub))
	for _, c := range []struct{ text, want string }{
		{"", "there is none"},
		{"untrusted comment: only\n", "there is none"},
		{"AAAA\n", "tag"},
		{"!\n", "line 1: not base64"},
		{"\n\n!\n", "line 3"},
		{wrongID, "damaged"},
		{string(FormatPrivateKey(key, "")), "this is a private key"},
		{base64.StdEncoding.EncodeToString([]byte("swp1short")), "5 bytes after the tag, want 40"},
		{strings.Repeat("A", 2000), "line 1 has 2000 bytes"},
		{strings.Repeat("\n", 2<<20), "at most 1048576"},
	} {
		if _, err := ParsePublicKeys([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.20q: %v, want %q", c.text, err, c.want)
		}
	}
	if _, err := ParsePrivateKey(append(FormatPrivateKey(key, ""), FormatPrivateKey(key, "")...)); err == nil {
		t.Error("two private keys")
	}
}

func TestDescribeSignature(t *testing.T) {
	key, pub := testKey(1)
	_, other := testKey(2)
	module := newGuest(abi.KindFilter, "").bytes()
	signed := mustSign(t, module, key)
	for _, c := range []struct {
		module   []byte
		detached *Signature
		keys     []ed25519.PublicKey
		want     string
	}{
		{module, nil, nil, "none"},
		{signed, nil, nil, "by key " + KeyIDOf(pub).String() + ", not verified"},
		{signed, nil, []ed25519.PublicKey{pub}, "valid, by key " + KeyIDOf(pub).String()},
		{signed, nil, []ed25519.PublicKey{other}, "NOT VALID"},
		{module, SignDetached(module, key), []ed25519.PublicKey{pub}, "valid"},
	} {
		d, err := Describe(c.module)
		if err != nil {
			t.Fatal(err)
		}
		d.Verify(c.module, c.detached, c.keys...)
		if !strings.Contains(d.String(), c.want) {
			t.Errorf("%s; want %q", d, c.want)
		}
	}
}

func FuzzKeyFiles(f *testing.F) {
	key, pub := testKey(1)
	f.Add(FormatPublicKey(pub, "x"))
	f.Add(FormatPrivateKey(key, "x"))
	f.Add(SignDetached(nil, key).Format("x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if keys, err := ParsePublicKeys(b); err == nil {
			for _, k := range keys {
				again, err := ParsePublicKeys(FormatPublicKey(k, "y"))
				if err != nil || !again[0].Equal(k) {
					t.Error(err)
				}
			}
		}
		if k, err := ParsePrivateKey(b); err == nil && len(k) != ed25519.PrivateKeySize {
			t.Error(len(k))
		}
		if s, err := ParseSignature(b); err == nil {
			if again, err := ParseSignature(s.Format("y")); err != nil || *again != *s {
				t.Error(err)
			}
		}
	})
}

// No module verifies that was not signed as it is.
func FuzzVerify(f *testing.F) {
	key, pub := testKey(1)
	signed, err := Sign(newGuest(abi.KindFilter, "").bytes(), key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signed)
	f.Add(signed[len(signed)-91:])
	f.Fuzz(func(t *testing.T, module []byte) {
		content, s := SplitSignature(module)
		if s != nil && len(module)-len(content) != 91 {
			t.Error(len(content))
		}
		if _, err := Verify(module, nil, pub); err == nil && !bytes.Equal(module, signed) {
			t.Errorf("%x verifies", module)
		}
		if p, err := Load(context.Background(), module, Options{SignedBy: []ed25519.PublicKey{}}); err == nil {
			p.Close()
			t.Error("loaded without a signature")
		}
	})
}
