// Package sandwarp runs large language models inside a Go program.
package sandwarp
