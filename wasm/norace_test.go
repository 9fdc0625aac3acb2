//go:build !race

package wasm

const racing = false
