// Package enginetest is what every engine for plugins must pass: the rules of
// package wasm's interfaces, the same results and the same fuel as another
// engine for real plugins, and hostile plugins that stay harmless.
package enginetest
