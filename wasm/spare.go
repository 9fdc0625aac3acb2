package wasm

import (
	"context"
	"runtime"

	"github.com/sandwarp/sandwarp/abi"
)

// Spare instances are made in advance, so that a sequence that needs one of its own
// does not wait for it.
const (
	spareInstances = 2 // made in advance
	sparesKept     = 8 // of copies that have served
)

// takeSpare is an instance in the state of the image, nil if there is none. The caller
// holds p.mu.
func (p *Plugin) takeSpare() *instance {
	for n := len(p.spares); n > 0; n = len(p.spares) {
		in := p.spares[n-1]
		p.spares[n-1] = nil
		p.spares = p.spares[:n-1]
		if in.image == p.image.Load() {
			return in
		}
		_ = in.stop() // the image is a newer one
	}
	return nil
}

// makeSpares sees to it that there are spares before long. The caller holds p.mu.
func (p *Plugin) makeSpares() {
	if p.closed || p.making || len(p.spares) > 0 || p.image.Load() == nil || !p.wantsSpares() {
		return
	}
	p.making = true
	p.work.Go(func() {
		for {
			in := &instance{p: p}
			err := in.start(context.Background())
			p.mu.Lock()
			if err != nil || p.closed || in.image != p.image.Load() || len(p.spares) >= spareInstances {
				p.making = false
				p.mu.Unlock()
				_ = in.stop()
				return
			}
			p.spares = append(p.spares, in)
			p.mu.Unlock()
		}
	})
}

// wantsSpares says whether another instance may be needed: for a fork, or because the
// sequences spread.
func (p *Plugin) wantsSpares() bool {
	return p.forks < p.opt.Forks && p.copies.Load() || len(p.instances)-p.forks < p.spread()
}

// spread is how many instances sequences go to before they share one: those of filters
// call side by side; samplers are called from one goroutine and stay together.
func (p *Plugin) spread() int {
	if p.manifest.Kind == abi.KindFilter {
		return min(p.opt.Instances, runtime.GOMAXPROCS(0))
	}
	return 1
}

// retire puts a copy that has served back among the spares, or closes it.
func (p *Plugin) retire(in *instance) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.raw == nil {
		return
	}
	in.fork = false
	p.mu.RLock()
	full := p.closed || len(p.spares) >= sparesKept
	p.mu.RUnlock()
	if !full && in.reset() == nil {
		in.p.stats.resets.Add(^uint64(0)) // not one of a fault
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.closed {
			p.spares = append(p.spares, in)
			return
		}
	}
	_ = in.stop()
}

// setImage makes im what instances start from.
func (p *Plugin) setImage(im *image) {
	p.images = append(p.images, im)
	p.image.Store(im)
}

// settleIn makes an instance without a frame one that starts with it, if that can be:
// the frame is reserved once, in an image that all instances then start from. The
// instance's sequences are opened anew when they are next called.
func (in *instance) settleIn(vocab uint32) {
	p := in.p
	if in.layout != nil || in.raw == nil {
		return
	}
	if im := p.image.Load(); im == nil || im.layout == nil && !p.addFrame(vocab) {
		return
	}
	if p.image.Load().layout.Vocab == vocab {
		_ = in.renew() // if it fails, the call says so
	}
}

// addFrame replaces the image by one with a frame.
func (p *Plugin) addFrame(vocab uint32) bool {
	p.framing.Lock()
	defer p.framing.Unlock()
	if p.unframed || p.image.Load().layout != nil {
		return !p.unframed
	}
	in := &instance{p: p}
	if in.start(context.Background()) != nil || in.window(vocab) != nil {
		// A call of an instance that is in use tells what is wrong.
		p.unframed = true
		_ = in.stop()
		return false
	}
	im := capture(in, p.globals).share(in)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.setImage(im)
	if p.closed {
		_ = in.stop()
	} else {
		p.spares = append(p.spares, in)
	}
	return true
}
