package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/cmd/sandwarp/scaffold"
	"github.com/sandwarp/sandwarp/sdk"
	"github.com/sandwarp/sandwarp/wasm"
)

func newPluginCommand(io streams) *cobra.Command {
	p := scaffold.Project{}
	kind, dir := "filter", ""
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Begin a plugin: a project that builds and passes the check",
		Long: `new makes a folder with a plugin that works, the SDK it needs, a manifest, a Makefile
and a README. NAME is the manifest's, like you/shout; its last part names the folder.
Nothing is downloaded.`,
		Example: "  sandwarp plugin new --lang rust --kind filter you/shout",
		Args:    args(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			p.Name, p.Kind = args[0], abi.Kind(kind)
			if err := p.Check(); err != nil {
				return usageError{err}
			}
			if dir == "" {
				dir = p.Base()
			}
			if err := p.Write(dir); err != nil {
				return err
			}
			_, err := fmt.Fprintf(io.out, "made %s: a %s in %s; next: cd %s && make check\n", dir, kind, p.Lang, dir)
			return err
		},
	}
	cmd.Flags().StringVar(&p.Lang, "lang", "rust", "`language`: "+strings.Join(scaffold.Languages, ", ")+" (AssemblyScript)")
	cmd.Flags().StringVar(&kind, "kind", kind, "`kind`: sampler, filter, tokenizer")
	cmd.Flags().StringVar(&dir, "dir", "", "`folder` to make, instead of the name's last part")
	return cmd
}

func packCommand(io streams) *cobra.Command {
	return &cobra.Command{
		Use:   "pack [MANIFEST.json] FILE",
		Short: "Write a manifest into a plugin's module",
		Long: `pack writes MANIFEST.json into the module FILE, in the place of a manifest that is
there. Its keys are those of docs/abi.md, section 3. Without MANIFEST.json it asks the
plugin, as those written in Go know their own: it is interpreted, within limits, and what
it tells is written. Sign after packing, not before.`,
		Example: "  sandwarp plugin pack filter.json filter.wasm",
		Args:    args(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			file := args[len(args)-1]
			module, err := readFile(file, maxModule)
			if err != nil {
				return err
			}
			packed, err := packed(module, args[:len(args)-1])
			if err != nil {
				return fmt.Errorf("%s: %w", strings.Join(args, ", "), err)
			}
			if err := os.WriteFile(file, packed, 0o644); err != nil {
				return err
			}
			if _, s := wasm.SplitSignature(packed); s != nil && !bytes.Equal(packed, module) {
				fmt.Fprintf(io.err, "sandwarp: %s has changed, and its signature fits no more: sign it again\n", file)
			}
			return nil
		},
	}
}

// packed is the module with the manifest of a file, or with its own.
func packed(module []byte, manifest []string) ([]byte, error) {
	if len(manifest) == 0 {
		m, err := wasm.AskManifest(module)
		if err != nil {
			return nil, err
		}
		return sdk.PackManifest(module, m)
	}
	text, err := readFile(manifest[0], abi.MaxManifestBytes)
	if err != nil {
		return nil, err
	}
	return sdk.Pack(module, text)
}
