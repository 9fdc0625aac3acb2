//go:build race

package sandwarp_test

const raceEnabled = true // sync.Pool then drops things on purpose
