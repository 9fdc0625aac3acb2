package wasm

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/sandwarp/sandwarp/abi"
)

// Keys and signatures are text files, in the manner of signify and minisign: a
// line "untrusted comment: ...", which nothing depends on, and a line of base64.
// Its bytes are a tag of four, the key's id of eight, and the key or signature.
const commentPrefix = "untrusted comment: "

// KeyID names a public key: the first 8 bytes of its SHA-256.
type KeyID [abi.KeyIDBytes]byte

// String is the id in hex.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// KeyIDOf is the id of a public key.
func KeyIDOf(key ed25519.PublicKey) (id KeyID) {
	h := sha256.Sum256(key)
	copy(id[:], h[:])
	return id
}

// Signature is a signature over a module, and who says to have made it.
type Signature struct {
	Key   KeyID
	Bytes [ed25519.SignatureSize]byte
}

// record is the part of a file that counts.
func record(tag string, id KeyID, content []byte) []byte {
	return append(append([]byte(tag), id[:]...), content...)
}

func text(comment string, record []byte) []byte {
	comment = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(comment, "?"))
	return []byte(commentPrefix + comment + "\n" + base64.StdEncoding.EncodeToString(record) + "\n")
}

// FormatPublicKey is a public key as a text file.
func FormatPublicKey(key ed25519.PublicKey, comment string) []byte {
	return text(comment, record(abi.PublicKeyTag, KeyIDOf(key), key))
}

// FormatPrivateKey is a private key as a text file, not encrypted.
func FormatPrivateKey(key ed25519.PrivateKey, comment string) []byte {
	return text(comment, record(abi.PrivateKeyTag, KeyIDOf(key.Public().(ed25519.PublicKey)), key.Seed()))
}

// Format is a detached signature as a text file.
func (s *Signature) Format(comment string) []byte {
	return text(comment, record(abi.SignatureTag, s.Key, s.Bytes[:]))
}

// What kinds of text files hold.
var kinds = map[string]struct {
	name string
	size int // of the content
}{
	abi.PublicKeyTag:  {"public key", ed25519.PublicKeySize},
	abi.PrivateKeyTag: {"private key", ed25519.SeedSize},
	abi.SignatureTag:  {"signature", ed25519.SignatureSize},
}

// Bounds of text files.
const (
	maxKeyText = 1 << 20
	maxKeyLine = 1024
)

// parse reads the records of a text file, all with the given tag.
func parse(b []byte, tag string) (ids []KeyID, contents [][]byte, err error) {
	want := kinds[tag]
	if len(b) > maxKeyText {
		return nil, nil, fmt.Errorf("%s: a file of %d bytes, at most %d allowed", want.name, len(b), maxKeyText)
	}
	n := 0
	for line := range bytes.Lines(b) {
		n++
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case len(line) > maxKeyLine:
			return nil, nil, fmt.Errorf("%s: line %d has %d bytes, at most %d allowed", want.name, n, len(line), maxKeyLine)
		case len(line) == 0 || bytes.HasPrefix(line, []byte(strings.TrimSpace(commentPrefix))):
			continue
		}
		id, content, err := parseLine(line, tag)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: line %d: %w", want.name, n, err)
		}
		ids, contents = append(ids, id), append(contents, content)
	}
	if len(ids) == 0 {
		return nil, nil, fmt.Errorf("%s: there is none in the file", want.name)
	}
	return ids, contents, nil
}

func parseLine(line []byte, tag string) (id KeyID, content []byte, err error) {
	want := kinds[tag]
	b, err := base64.StdEncoding.Strict().DecodeString(string(line))
	if err != nil {
		return id, nil, fmt.Errorf("not base64: %w", err)
	}
	if len(b) < len(tag) || string(b[:len(tag)]) != tag {
		if other, ok := kinds[string(b[:min(len(tag), len(b))])]; ok {
			return id, nil, fmt.Errorf("this is a %s", other.name)
		}
		return id, nil, fmt.Errorf("it does not begin with the tag %q", tag)
	}
	b = b[len(tag):]
	if len(b) != len(id)+want.size {
		return id, nil, fmt.Errorf("%d bytes after the tag, want %d", len(b), len(id)+want.size)
	}
	copy(id[:], b)
	return id, b[len(id):], nil
}

// ParsePublicKeys reads a text file with one public key or several.
func ParsePublicKeys(b []byte) ([]ed25519.PublicKey, error) {
	ids, contents, err := parse(b, abi.PublicKeyTag)
	if err != nil {
		return nil, err
	}
	keys := make([]ed25519.PublicKey, len(ids))
	for i, c := range contents {
		keys[i] = ed25519.PublicKey(c)
		if id := KeyIDOf(keys[i]); id != ids[i] {
			return nil, fmt.Errorf("public key: the file says it is %s, but its id is %s: it is damaged", ids[i], id)
		}
	}
	return keys, nil
}

// ParsePrivateKey reads a text file with a private key.
func ParsePrivateKey(b []byte) (ed25519.PrivateKey, error) {
	ids, contents, err := parse(b, abi.PrivateKeyTag)
	switch {
	case err != nil:
		return nil, err
	case len(ids) > 1:
		return nil, errors.New("private key: the file has more than one")
	}
	key := ed25519.NewKeyFromSeed(contents[0])
	if id := KeyIDOf(key.Public().(ed25519.PublicKey)); id != ids[0] {
		return nil, fmt.Errorf("private key: the file says it is %s, but its id is %s: it is damaged", ids[0], id)
	}
	return key, nil
}

// ParseSignature reads a text file with a detached signature.
func ParseSignature(b []byte) (*Signature, error) {
	ids, contents, err := parse(b, abi.SignatureTag)
	switch {
	case err != nil:
		return nil, err
	case len(ids) > 1:
		return nil, errors.New("signature: the file has more than one")
	}
	s := &Signature{Key: ids[0]}
	copy(s.Bytes[:], contents[0])
	return s, nil
}
