//go:build !unix && !windows

package gguf

import (
	"io"
	"os"
)

// mapFile reads the file where the system has no mappings.
func mapFile(file *os.File, size int) ([]byte, func() error, error) {
	data := make([]byte, size)
	_, err := io.ReadFull(file, data)
	return data, nil, err
}
