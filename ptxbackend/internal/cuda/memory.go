package cuda

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// memAlign is what Alloc promises, and what the driver gives.
const memAlign = 256

// hostPortable makes page-locked memory that of every context (CU_MEMHOSTALLOC_PORTABLE).
const hostPortable = 1

// hostBlock is page-locked memory.
type hostBlock struct {
	addr  uintptr
	bytes int
}

// Memory is how many bytes of the device are free, and how many it has.
func (d *device) Memory() (free, total int64, err error) {
	c, err := d.caller("cuMemGetInfo")
	if err != nil {
		return 0, 0, err
	}
	defer c.release()
	return c.memory()
}

func (c *caller) memory() (free, total int64, err error) {
	if err := c.call(fnMemGetInfo, c.out(0), c.out(1)); err != nil {
		return 0, 0, err
	}
	return int64(c.f.out[0]), int64(c.f.out[1]), nil
}

// Alloc returns device memory with unspecified content.
func (d *device) Alloc(bytes int64) (driver.Ptr, error) {
	if bytes <= 0 {
		return 0, invalid("cuMemAlloc", "%d bytes", bytes)
	}
	c, err := d.caller("cuMemAlloc")
	if err != nil {
		return 0, err
	}
	defer c.release()
	if err := c.call(fnMemAlloc, c.out(0), uintptr(bytes)); err != nil {
		return 0, c.noMemory(err, bytes)
	}
	p := driver.Ptr(c.f.out[0])
	if p == 0 || p%memAlign != 0 {
		err := fmt.Errorf("cuda: cuMemAlloc returned %#x, which is not aligned to %d bytes", uint64(p), memAlign)
		return 0, errors.Join(err, c.call(fnMemFree, uintptr(p)))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.memory[p] = bytes
	return p, nil
}

// noMemory says how much was free when there was not enough.
func (c *caller) noMemory(err error, bytes int64) error {
	if !errors.Is(err, driver.ErrNoMemory) {
		return err
	}
	free, total, e := c.memory()
	if e != nil {
		return explain(err, "%s were asked for", mib(bytes))
	}
	return explain(err, "%s were asked for, %s of %s are free; other processes may hold some (nvidia-smi)", mib(bytes), mib(free), mib(total))
}

// Free gives memory back. The driver waits for what still uses it.
func (d *device) Free(p driver.Ptr) error {
	if p == 0 {
		return nil
	}
	c, err := d.caller("cuMemFree")
	if err != nil {
		return err
	}
	defer c.release()
	d.mu.Lock()
	_, ours := d.memory[p]
	delete(d.memory, p)
	d.mu.Unlock()
	if !ours {
		return invalid("cuMemFree", "%#x is not from Alloc, or was freed before", uint64(p))
	}
	return d.destroyed(c.call(fnMemFree, uintptr(p)))
}

// HostAlloc returns page-locked memory outside the Go heap, zeroed.
func (d *device) HostAlloc(bytes int) ([]byte, error) {
	if bytes <= 0 {
		return nil, invalid("cuMemHostAlloc", "%d bytes", bytes)
	}
	c, err := d.caller("cuMemHostAlloc")
	if err != nil {
		return nil, err
	}
	defer c.release()
	if err := c.call(fnMemHostAlloc, c.ptr(), uintptr(bytes), hostPortable); err != nil {
		if errors.Is(err, driver.ErrNoMemory) {
			return nil, explain(err, "%s of page-locked host memory were asked for", mib(int64(bytes)))
		}
		return nil, err
	}
	b := unsafe.Slice((*byte)(c.f.ptr), bytes)
	clear(b)
	addr := address(b)
	d.mu.Lock()
	defer d.mu.Unlock()
	i, _ := d.hostIndex(addr)
	d.host = slices.Insert(d.host, i, hostBlock{addr, bytes})
	return b, nil
}

// HostFree gives page-locked memory back.
func (d *device) HostFree(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	c, err := d.caller("cuMemFreeHost")
	if err != nil {
		return err
	}
	defer c.release()
	addr := address(b)
	d.mu.Lock()
	i, ours := d.hostIndex(addr)
	if ours {
		d.host = slices.Delete(d.host, i, i+1)
	}
	d.mu.Unlock()
	if !ours {
		return invalid("cuMemFreeHost", "the memory is not from HostAlloc, or was freed before")
	}
	return d.destroyed(c.call(fnMemFreeHost, addr))
}

// hostIndex is where the block at addr is, or belongs, in d.host.
func (d *device) hostIndex(addr uintptr) (int, bool) {
	return slices.BinarySearchFunc(d.host, addr, func(b hostBlock, a uintptr) int {
		switch {
		case b.addr < a:
			return -1
		case b.addr > a:
			return 1
		}
		return 0
	})
}

// pinned reports whether b lies in page-locked memory.
func (d *device) pinned(b []byte) bool {
	addr := address(b)
	d.mu.Lock()
	defer d.mu.Unlock()
	i, exact := d.hostIndex(addr)
	if !exact {
		if i--; i < 0 {
			return false
		}
	}
	return addr-d.host[i].addr+uintptr(len(b)) <= uintptr(d.host[i].bytes)
}

// address is where a slice begins; it stays there if it is not the Go heap's.
func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }
