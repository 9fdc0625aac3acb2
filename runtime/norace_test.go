//go:build !race

package sandwarp_test

const raceEnabled = false
