// Package scaffold makes a plugin's project: sources that build, the SDK they need, and
// what builds and checks them. Nothing is downloaded.
package scaffold

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/sdk"
)

//go:embed template
var templates embed.FS

// Project says what to make.
type Project struct {
	Lang string // go, rust, c or as
	Kind abi.Kind
	Name string // of the manifest, like you/shout; the last part names folder and module
}

// Base is the last part of the name.
func (p Project) Base() string { return path.Base(p.Name) }

// Crate is the base as an identifier.
func (p Project) Crate() string {
	return strings.NewReplacer("-", "_", ".", "_").Replace(p.Base())
}

// Languages are those a plugin can be written in.
var Languages = []string{"go", "rust", "c", "as"}

// carried says where the SDK of a language lies, and where it goes.
var carried = map[string][]struct {
	from fs.FS
	dir  string
	to   string
}{
	"c":    {{sdk.Source, "c", "."}},
	"rust": {{sdk.Source, "rust", "sandwarp"}},
	"as":   {{sdk.Source, "assemblyscript", "sandwarp"}},
	"go":   {{sdk.Source, "go", "sandwarp/sdk/go"}, {abi.Source, ".", "sandwarp/abi"}},
}

// Check reports what is wrong with the project.
func (p Project) Check() error {
	m := abi.Manifest{Name: p.Name, Kind: p.Kind}
	if p.Kind == abi.KindSampler {
		m.Mode = abi.ModeCandidates
	}
	if err := m.Validate(); err != nil {
		return err
	}
	if b := p.Base(); b == "." || b == ".." || b == "/" || strings.HasPrefix(b, "-") {
		return fmt.Errorf("name %q: its last part is no name of a folder", p.Name)
	}
	if c := p.Crate()[0]; c >= '0' && c <= '9' || c == '_' {
		return fmt.Errorf("name %q: its last part must begin with a letter", p.Name)
	}
	if carried[p.Lang] == nil {
		return fmt.Errorf("language %q: want one of %s", p.Lang, strings.Join(Languages, ", "))
	}
	return nil
}

// Write makes the project in dir, which must not exist.
func (p Project) Write(dir string) error {
	if err := p.Check(); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already: choose another folder (--dir)", dir)
	} else if err != nil {
		return err
	}
	for _, c := range carried[p.Lang] {
		if err := carry(c.from, c.dir, filepath.Join(dir, c.to)); err != nil {
			return err
		}
	}
	return p.expand(dir)
}

// carry copies a folder of the SDK, its tests left out.
func carry(from fs.FS, root, to string) error {
	return fs.WalkDir(from, root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(name, "_test.go") {
			return err
		}
		b, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(filepath.FromSlash(root), filepath.FromSlash(name))
		if err != nil {
			return err
		}
		return write(filepath.Join(to, rel), b)
	})
}

func write(name string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, b, 0o644)
}

// expand writes the language's templates. A file KIND.x.tmpl is for that kind; the
// first line of each says what the file is called.
func (p Project) expand(dir string) error {
	files, err := fs.Glob(templates, "template/"+p.Lang+"/*.tmpl")
	if err != nil {
		return err
	}
	for _, file := range append(files, "template/README.md.tmpl") {
		kind, _, _ := strings.Cut(path.Base(file), ".")
		if isKind(kind) && kind != string(p.Kind) {
			continue
		}
		t, err := template.New(path.Base(file)).Delims("<<", ">>").ParseFS(templates, file)
		if err != nil {
			return err
		}
		var b strings.Builder
		if err := t.Execute(&b, p); err != nil {
			return err
		}
		name, text, _ := strings.Cut(b.String(), "\n")
		if err := write(filepath.Join(dir, filepath.FromSlash(name)), []byte(text)); err != nil {
			return err
		}
	}
	return nil
}

func isKind(s string) bool {
	return s == string(abi.KindSampler) || s == string(abi.KindFilter) || s == string(abi.KindTokenizer)
}
