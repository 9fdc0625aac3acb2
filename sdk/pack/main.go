// Command pack writes a manifest into a WebAssembly module, as the custom section
// sw.manifest, where the host reads it before any code runs:
//
//	go run github.com/sandwarp/sandwarp/sdk/pack [manifest.json] plugin.wasm
//
// The JSON has the keys of the msgpack manifest (docs/abi.md). Without it the manifest
// is what the plugin's own sw_manifest tells, as plugins written in Go do.
package main

import (
	"fmt"
	"os"

	"github.com/sandwarp/sandwarp/sdk"
	"github.com/sandwarp/sandwarp/wasm"
)

func main() {
	var err error
	switch len(os.Args) {
	case 2:
		err = packOwn(os.Args[1])
	case 3:
		err = pack(os.Args[1], os.Args[2])
	default:
		fmt.Fprintln(os.Stderr, "usage: pack [manifest.json] plugin.wasm")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func pack(manifestPath, modulePath string) error {
	manifest, err := os.ReadFile(manifestPath)
	if err != nil {
		return err
	}
	module, err := os.ReadFile(modulePath)
	if err != nil {
		return err
	}
	packed, err := sdk.Pack(module, manifest)
	if err != nil {
		return fmt.Errorf("%s, %s: %w", manifestPath, modulePath, err)
	}
	return os.WriteFile(modulePath, packed, 0o644)
}

func packOwn(modulePath string) error {
	module, err := os.ReadFile(modulePath)
	if err != nil {
		return err
	}
	m, err := wasm.AskManifest(module)
	if err != nil {
		return fmt.Errorf("%s: %w", modulePath, err)
	}
	packed, err := sdk.PackManifest(module, m)
	if err != nil {
		return fmt.Errorf("%s: %w", modulePath, err)
	}
	return os.WriteFile(modulePath, packed, 0o644)
}
