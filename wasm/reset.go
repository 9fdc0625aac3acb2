package wasm

import "errors"

// Reset puts all instances back to the state after configuration, as after a fault.
// Sequences are opened and told their past anew at their next call. It is for tests of
// plugins, and safe for concurrent use.
func (p *Plugin) Reset() error {
	p.mu.RLock()
	instances := append([]*instance(nil), p.instances...)
	p.mu.RUnlock()
	var all error
	for _, in := range instances {
		in.mu.Lock()
		if in.raw != nil || !p.isClosed() {
			all = errors.Join(all, in.reset())
		}
		in.mu.Unlock()
	}
	return all
}
