package main

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sandwarp/sandwarp/wasm"
)

// maxKeyFile bounds the size of files of keys and signatures.
const maxKeyFile = 1 << 20

func keygenCommand(io streams) *cobra.Command {
	comment := ""
	cmd := &cobra.Command{
		Use:   "keygen NAME",
		Short: "Make a pair of keys to sign plugins with",
		Long: `keygen writes NAME.key, which signs and must stay secret (it is not encrypted), and
NAME.pub, for everybody who is to trust what you sign.`,
		Example: "  sandwarp plugin keygen release",
		Args:    args(1, 1),
		RunE:    func(_ *cobra.Command, args []string) error { return keygen(io, args[0], comment) },
	}
	cmd.Flags().StringVar(&comment, "comment", "", "a `text` for the files, which nothing depends on")
	return cmd
}

func keygen(io streams, name, comment string) error {
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	id := wasm.KeyIDOf(pub)
	if comment == "" {
		comment = filepath.Base(name)
	}
	if err := writeNew(name+".key", wasm.FormatPrivateKey(key, comment+", private key "+id.String()), 0o600); err != nil {
		return err
	}
	if err := writeNew(name+".pub", wasm.FormatPublicKey(pub, comment+", public key "+id.String()), 0o644); err != nil {
		_ = os.Remove(name + ".key")
		return err
	}
	_, err = fmt.Fprintf(io.out, "key %s: %s.key signs, keep it secret; %s.pub is for others\n", id, name, name)
	return err
}

// writeNew writes a file that must not be there yet.
func writeNew(path string, b []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: keys are not overwritten", path)
	} else if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}

func signCommand(io streams) *cobra.Command {
	keyPath, detached := "", false
	cmd := &cobra.Command{
		Use:   "sign -k KEY FILE",
		Short: "Sign a plugin",
		Long: `sign puts a signature into the module, as its last section, in place of one that is
there. With --detached the module stays as it is, and FILE.sig holds the signature.`,
		Example: `  sandwarp plugin sign -k release.key filter.wasm
  sandwarp plugin sign -k release.key --detached filter.wasm`,
		Args: args(1, 1),
		RunE: func(_ *cobra.Command, args []string) error { return signPlugin(io, args[0], keyPath, detached) },
	}
	cmd.Flags().StringVarP(&keyPath, "key", "k", "", "private key `file` (needed)")
	cmd.Flags().BoolVar(&detached, "detached", false, "write FILE.sig instead")
	return cmd
}

func signPlugin(io streams, path, keyPath string, detached bool) error {
	if keyPath == "" {
		return usageError{errors.New("plugin sign: -k KEY is needed")}
	}
	text, err := readFile(keyPath, maxKeyFile)
	if err != nil {
		return err
	}
	key, err := wasm.ParsePrivateKey(text)
	if err != nil {
		return fmt.Errorf("%s: %w", keyPath, err)
	}
	module, err := readFile(path, maxModule)
	if err != nil {
		return err
	}
	if _, err := wasm.Describe(module); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	id, out := wasm.KeyIDOf(key.Public().(ed25519.PublicKey)), path
	b, err := wasm.Sign(module, key)
	if detached {
		out = path + wasm.SignatureSuffix
		b = wasm.SignDetached(module, key).Format(filepath.Base(path) + ", signed by key " + id.String())
	}
	if err == nil {
		err = replaceFile(out, b)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	_, err = fmt.Fprintf(io.out, "%s: signed by key %s\n", out, id)
	return err
}

// replaceFile writes a file whole or not at all, with the mode it had.
func replaceFile(path string, b []byte) error {
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".sandwarp-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Chmod(mode), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

func verifyCommand(io streams) *cobra.Command {
	var keyPaths []string
	cmd := &cobra.Command{
		Use:   "verify -k PUB FILE",
		Short: "Check who signed a plugin",
		Long: `verify checks that one of the public keys has signed the plugin, in the module itself
or in FILE.sig. The exit code is 3 if not.`,
		Example: "  sandwarp plugin verify -k release.pub filter.wasm",
		Args:    args(1, 1),
		RunE:    func(_ *cobra.Command, args []string) error { return verifyPlugin(io, args[0], keyPaths) },
	}
	cmd.Flags().StringArrayVarP(&keyPaths, "key", "k", nil, "public key `file` (needed, repeatable)")
	return cmd
}

func verifyPlugin(io streams, path string, keyPaths []string) error {
	if len(keyPaths) == 0 {
		return usageError{errors.New("plugin verify: -k PUB is needed")}
	}
	keys, err := readKeys(keyPaths)
	if err != nil {
		return err
	}
	module, err := readFile(path, maxModule)
	if err != nil {
		return err
	}
	detached, err := wasm.ReadSignature(path)
	if err != nil {
		return err
	}
	key, err := wasm.Verify(module, detached, keys...)
	if errors.Is(err, wasm.ErrSignature) {
		fmt.Fprintf(io.err, "%s: %v\n", path, err)
		return errCheckFailed
	} else if err != nil {
		return err
	}
	_, err = fmt.Fprintf(io.out, "%s: signed by key %s\n", path, wasm.KeyIDOf(key))
	return err
}

// readKeys reads public keys, nil if there are no files.
func readKeys(paths []string) (keys []ed25519.PublicKey, err error) {
	for _, path := range paths {
		text, err := readFile(path, maxKeyFile)
		if err != nil {
			return nil, err
		}
		some, err := wasm.ParsePublicKeys(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		keys = append(keys, some...)
	}
	return keys, nil
}

func inspectPluginCommand(io streams) *cobra.Command {
	in := &inspector{io: io}
	cmd := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Show what a plugin says about itself, without running it",
		Long: `inspect shows a plugin's manifest, capabilities, budgets, hash and signature. With
public keys it says whether one of them made the signature.`,
		Example: "  sandwarp plugin inspect -k release.pub filter.wasm",
		Args:    args(1, 1),
		RunE:    func(cmd *cobra.Command, args []string) error { return in.plugin(cmd.Context(), args[0]) },
	}
	cmd.Flags().BoolVar(&in.json, "json", false, "print JSON")
	cmd.Flags().StringArrayVarP(&in.keys, "key", "k", nil, "public key `file` (repeatable)")
	return cmd
}
