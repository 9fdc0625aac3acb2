package ptxbackend

import (
	"errors"
	"fmt"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// failure says what the driver refused, in the terms callers of a backend branch on.
func failure(what string, err error) error {
	for _, t := range []struct{ driver, ours error }{
		{driver.ErrLost, backend.ErrDeviceLost},
		{driver.ErrNoMemory, backend.ErrNoMemory},
		{driver.ErrNoDriver, backend.ErrNoDevice},
	} {
		if errors.Is(err, t.driver) && !errors.Is(err, t.ours) {
			return fmt.Errorf("ptxbackend: %s: %w: %w", what, t.ours, err)
		}
	}
	return fmt.Errorf("ptxbackend: %s: %w", what, err)
}

// fail is failure that remembers a lost device.
func (g *gpu) fail(what string, err error) error {
	if errors.Is(err, driver.ErrLost) {
		g.lost.Store(true)
	}
	return failure(what, err)
}

// ignoreIfLost is for what is given back: of a device that is gone nothing can be.
func (g *gpu) ignoreIfLost(err error) error {
	if err == nil || g.lost.Load() || errors.Is(err, driver.ErrLost) {
		return nil
	}
	return failure("give memory back", err)
}

// within runs f with the device current on this goroutine's thread.
func (g *gpu) within(f func() error) error {
	if err := g.dev.Enter(); err != nil {
		return g.fail("use the device", err)
	}
	defer g.dev.Leave()
	return f()
}
