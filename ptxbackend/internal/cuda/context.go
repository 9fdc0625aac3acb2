package cuda

import (
	"errors"
	"runtime"
	"slices"
)

// thread is what a thread of the operating system has entered. CUDA's current
// context belongs to the thread, so a goroutine stays on its own from Enter to Leave.
type thread struct {
	foreign uintptr   // somebody else's context that was current before, or 0
	entered []uintptr // contexts, innermost last
}

// Enter ties the goroutine to its thread and makes the device's context current.
// Within another Enter of the same device that takes no call of the driver.
func (d *device) Enter() error {
	runtime.LockOSThread()
	err := d.enter()
	if err != nil {
		runtime.UnlockOSThread()
	}
	return err
}

func (d *device) enter() error {
	if d.closed.Load() {
		return closedError("cuCtxSetCurrent", "device")
	}
	t := d.lib.thread()
	if n := len(t.entered); n > 0 && t.entered[n-1] == d.ctx {
		t.entered = append(t.entered, d.ctx)
		return nil
	}
	c, err := d.lib.caller(d)
	if err != nil {
		return err
	}
	defer c.release()
	if err := c.call(fnCtxGetCurrent, c.out(0)); err != nil {
		return err
	}
	current := uintptr(c.f.out[0])
	if current != d.ctx {
		if err := c.call(fnCtxSetCurrent, d.ctx); err != nil {
			return err
		}
	}
	if len(t.entered) == 0 {
		t.foreign = d.lib.foreign(current, d.ctx)
	}
	t.entered = append(t.entered, d.ctx)
	return nil
}

// Leave undoes one Enter. The context stays current on the thread if none was
// before: the next Enter there then needs not set it.
func (d *device) Leave() {
	t := d.lib.thread()
	n := len(t.entered)
	if n == 0 || t.entered[n-1] != d.ctx {
		panic("cuda: Leave without Enter on this thread")
	}
	t.entered = t.entered[:n-1]
	before := t.foreign
	if n > 1 {
		before = t.entered[n-2]
	}
	if before != 0 && before != d.ctx && !d.lib.gone(before) {
		if c, err := d.lib.caller(d); err == nil {
			_ = c.call(fnCtxSetCurrent, before) // the next Enter there looks again
			c.release()
		}
	}
	runtime.UnlockOSThread()
}

// thread finds the calling thread's entry; only that thread uses it. Entries stay:
// a process has few threads.
func (l *library) thread() *thread {
	id := threadID()
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.threads[id]
	if t == nil {
		t = &thread{}
		l.threads[id] = t
	}
	return t
}

// foreign is the context to restore: current, unless it is ours or is no more.
func (l *library) foreign(current, ours uintptr) uintptr {
	if current == ours {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.retired[current] || l.opened[current] > 0 {
		return 0
	}
	return current
}

// gone reports whether a context of ours has been given back.
func (l *library) gone(ctx uintptr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.retired[ctx]
}

// retire gives the context back and takes it off the calling thread.
func (d *device) retire(c *caller) error {
	l := d.lib
	l.mu.Lock()
	if l.opened[d.ctx]--; l.opened[d.ctx] <= 0 {
		delete(l.opened, d.ctx)
		l.retired[d.ctx] = true
	}
	last := l.retired[d.ctx]
	l.mu.Unlock()
	var err error
	if t := l.thread(); last && !slices.ContainsFunc(t.entered, func(ctx uintptr) bool { return ctx != d.ctx }) {
		err = c.call(fnCtxSetCurrent, t.foreign)
	}
	return errors.Join(err, c.call(fnPrimaryCtxRelease, d.handle))
}
