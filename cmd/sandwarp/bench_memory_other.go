//go:build !linux

package main

import "errors"

func residentMemory(string) (resident, error) {
	return resident{}, errors.New("n/a: only Linux tells")
}
