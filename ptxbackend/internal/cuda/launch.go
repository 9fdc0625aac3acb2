package cuda

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// attrProgrammatic is CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION.
const attrProgrammatic = 6

// Versions of CUDA from which on a launch may start before the one before it is
// complete, and from which on a graph can record that.
const (
	dependentSince      = 11080
	dependentGraphSince = 12030
)

// Launch runs a kernel, or records it.
func (s *stream) Launch(fn driver.Function, l *driver.Launch) error {
	if err := s.ready(fnLaunchKernelEx); err != nil {
		return err
	}
	f, err := s.function(fn, l)
	if err != nil {
		return err
	}
	if s.trace != nil {
		s.traceLaunch(f, l)
		return nil
	}
	s.prepare(f, l)
	if err := s.launch(f.handle); err != nil {
		return explain(err, "launching %s", describeLaunch(f, l))
	}
	if s.capture {
		s.names = append(s.names, f.name)
		return nil
	}
	if s.d.debug {
		if err := s.c.call(fnStreamSynchronize, s.handle); err != nil {
			return explain(err, "in %s", describeLaunch(f, l))
		}
	}
	return nil
}

// function checks what is to be launched.
func (s *stream) function(fn driver.Function, l *driver.Launch) (*function, error) {
	f, ok := fn.(*function)
	switch {
	case !ok || f.m.d != s.d:
		return nil, invalid("cuLaunchKernelEx", "the kernel is not of this device")
	case f.m.closed.Load():
		return nil, closedError("cuLaunchKernelEx", "module of "+f.name)
	case len(l.Params) != f.size:
		return nil, invalid("cuLaunchKernelEx", "kernel %s takes %d bytes of parameters, not %d", f.name, f.size, len(l.Params))
	case l.Shared < 0:
		return nil, invalid("cuLaunchKernelEx", "kernel %s: %d bytes of shared memory", f.name, l.Shared)
	}
	return f, nil
}

// prepare writes the launch into the stream's frame. A kernel that does not wait for
// the one before it, as none written for sm_80 does, is never let overlap with it.
func (s *stream) prepare(f *function, l *driver.Launch) {
	fr := s.c.f
	copy(fr.params[:], l.Params)
	base := uintptr(unsafe.Pointer(&fr.params[0]))
	for i, off := range f.offsets {
		fr.args[i] = base + uintptr(off)
	}
	fr.config = launchConfig{grid: atLeastOne(l.Grid), block: atLeastOne(l.Block), shared: uint32(l.Shared), stream: s.handle}
	if l.Dependent && f.waits && s.dependent() {
		fr.attr = launchAttribute{id: attrProgrammatic, value: [16]uint32{1}}
		fr.config.attrs = uintptr(unsafe.Pointer(&fr.attr))
		fr.config.numAttrs = 1
	}
}

// launch hands the prepared launch to the driver. One older than CUDA 11.8 has no
// launch with attributes, and none are set then.
func (s *stream) launch(handle uintptr) error {
	fr := s.c.f
	args := uintptr(unsafe.Pointer(&fr.args[0]))
	if s.c.lib.fn[fnLaunchKernelEx] != 0 {
		return s.c.call(fnLaunchKernelEx, uintptr(unsafe.Pointer(&fr.config)), handle, args, 0)
	}
	g, b := fr.config.grid, fr.config.block
	return s.c.call(fnLaunchKernel, handle,
		uintptr(g[0]), uintptr(g[1]), uintptr(g[2]), uintptr(b[0]), uintptr(b[1]), uintptr(b[2]),
		uintptr(fr.config.shared), s.handle, args, 0)
}

// dependent reports whether launches may overlap here.
func (s *stream) dependent() bool {
	v := s.c.lib.version
	return s.d.info.Major >= 9 && v >= dependentSince && (!s.capture || v >= dependentGraphSince) && s.c.lib.fn[fnLaunchKernelEx] != 0
}

func atLeastOne(v [3]uint32) [3]uint32 { return [3]uint32{max(v[0], 1), max(v[1], 1), max(v[2], 1)} }

func describeLaunch(f *function, l *driver.Launch) string {
	return fmt.Sprintf("kernel %s, grid %v of blocks %v, %d bytes of shared memory, %d registers a thread",
		f.name, atLeastOne(l.Grid), atLeastOne(l.Block), l.Shared, f.resources.Registers)
}

// traceLaunch records a launch for replay one by one.
func (s *stream) traceLaunch(f *function, l *driver.Launch) {
	kept := *l
	kept.Params = slices.Clone(l.Params)
	s.trace.add(func(s *stream) error { return s.Launch(f, &kept) })
	s.names = append(s.names, f.name)
}
