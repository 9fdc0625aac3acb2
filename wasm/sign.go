package wasm

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/wasm/internal/binary"
)

// ErrSignature is in errors about modules that no trusted key has signed.
var ErrSignature = errors.New("not signed by a trusted key")

// SignatureSuffix is what a detached signature's file is called behind the module's.
const SignatureSuffix = ".sig"

// sectionHead is how the section of a signature begins: id, size, name. Its
// encoding is fixed, so that a signed module has exactly one form.
var sectionHead = append([]byte{0, byte(1 + len(abi.SignatureSection) + sectionData), byte(len(abi.SignatureSection))}, abi.SignatureSection...)

const sectionData = len(abi.SignatureTag) + abi.KeyIDBytes + ed25519.SignatureSize

// message is what Ed25519 signs for a module.
func message(module []byte) []byte {
	h := sha256.Sum256(module)
	return append([]byte(abi.SignatureContext), h[:]...)
}

// SignDetached signs a module as it is; the signature goes beside it.
func SignDetached(module []byte, key ed25519.PrivateKey) *Signature {
	s := &Signature{Key: KeyIDOf(key.Public().(ed25519.PublicKey))}
	copy(s.Bytes[:], ed25519.Sign(key, message(module)))
	return s
}

// Sign returns the module with a signature as its last section, in place of one
// it had. The module must pass the scan.
func Sign(module []byte, key ed25519.PrivateKey) ([]byte, error) {
	content, _ := SplitSignature(module)
	if _, err := signedForm(content); err != nil {
		return nil, err
	}
	s := SignDetached(content, key)
	out := append(bytes.Clone(content), sectionHead...)
	return append(out, record(abi.SignatureTag, s.Key, s.Bytes[:])...), nil
}

// SplitSignature takes a module and its signature section apart. Without one the
// signature is nil, and the content is the module. Nothing is verified.
func SplitSignature(module []byte) (content []byte, s *Signature) {
	at := len(module) - len(sectionHead) - sectionData
	if at < 8 || !bytes.HasPrefix(module[at:], sectionHead) {
		return module, nil
	}
	data := module[at+len(sectionHead):]
	if string(data[:len(abi.SignatureTag)]) != abi.SignatureTag {
		return module, nil
	}
	data = data[len(abi.SignatureTag):]
	s = &Signature{Key: KeyID(data)}
	copy(s.Bytes[:], data[abi.KeyIDBytes:])
	return module[:at], s
}

// signedForm scans a module and checks where its signature section stands.
func signedForm(module []byte) (*binary.Module, error) {
	scan, err := binary.Scan(module, Limits{}.withDefaults().scan())
	if err != nil {
		return nil, err
	}
	return scan, checkSignatureForm(module, scan)
}

// checkSignatureForm refuses signature sections that are not at the end, of
// another form, or several: a reader could take them for what they are not.
func checkSignatureForm(module []byte, scan *binary.Module) error {
	n := 0
	for _, c := range scan.Customs {
		if c.Name == abi.SignatureSection {
			n++
		}
	}
	_, s := SplitSignature(module)
	switch {
	case n > 1:
		return fmt.Errorf("%d sections %s, at most one is allowed", n, abi.SignatureSection)
	case (n == 1) != (s != nil):
		return fmt.Errorf("its section %s is not the last one, or malformed; sign it again", abi.SignatureSection)
	}
	return nil
}

// Verify checks that one of keys has signed the module: in its signature section,
// or in the detached signature, nil for none. It returns the key. The error wraps
// ErrSignature and names key ids.
func Verify(module []byte, detached *Signature, keys ...ed25519.PublicKey) (ed25519.PublicKey, error) {
	for _, k := range keys {
		if len(k) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("public key of %d bytes, want %d", len(k), ed25519.PublicKeySize)
		}
	}
	content, own := SplitSignature(module)
	var found []string
	for _, c := range []struct {
		s      *Signature
		signed []byte
		where  string
	}{{own, content, "section"}, {detached, module, "file"}} {
		if c.s == nil {
			continue
		}
		known := false
		for _, k := range keys {
			if KeyIDOf(k) != c.s.Key {
				continue
			}
			if known = true; ed25519.Verify(k, message(c.signed), c.s.Bytes[:]) {
				return k, nil
			}
		}
		if known {
			found = append(found, fmt.Sprintf("the signature by key %s (%s) does not fit the module: one of them was changed", c.s.Key, c.where))
		} else {
			found = append(found, fmt.Sprintf("it is signed by key %s (%s)", c.s.Key, c.where))
		}
	}
	if len(found) == 0 {
		found = append(found, "it has no signature")
	}
	return nil, fmt.Errorf("%w: %s; trusted keys: %s", ErrSignature, strings.Join(found, ", "), idList(keys))
}

func idList(keys []ed25519.PublicKey) string {
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = KeyIDOf(k).String()
	}
	return orNone(ids)
}

// checkSigned applies Options.SignedBy.
func (p *Plugin) checkSigned(module []byte) error {
	if p.opt.SignedBy == nil {
		return nil
	}
	key, err := Verify(module, p.opt.Signature, p.opt.SignedBy...)
	if err != nil {
		return fmt.Errorf("plugin %s: %w", p.name, err)
	}
	p.signer = KeyIDOf(key).String()
	return nil
}

// SignedBy is the id of the trusted key that signed the plugin, in hex; empty
// without Options.SignedBy.
func (p *Plugin) SignedBy() string { return p.signer }

// ReadSignature reads the detached signature of a module's file, path.sig. Without
// such a file it returns nil and no error.
func ReadSignature(path string) (*Signature, error) {
	path += SignatureSuffix
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxKeyText+1))
	if err != nil {
		return nil, err
	}
	s, err := ParseSignature(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}
