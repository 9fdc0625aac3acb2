package wasm

import (
	"encoding/binary"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// backing is an image's memory as a file without a name. Instances map it
// privately: what they do not write to they share.
type backing struct {
	fd   int
	size int
}

// newBacking writes blocks to a file of the given size, whose other bytes are zero.
// It returns nil where that is not possible.
func newBacking(size int, blocks []block) *backing {
	if size == 0 || size%os.Getpagesize() != 0 {
		return nil
	}
	fd, err := unix.MemfdCreate("sandwarp-image", unix.MFD_CLOEXEC)
	if err != nil {
		return nil
	}
	b := &backing{fd, size}
	if unix.Ftruncate(fd, int64(size)) != nil || !b.write(blocks) {
		b.close()
		return nil
	}
	return b
}

func (b *backing) write(blocks []block) bool {
	for _, bl := range blocks {
		for off, data := int64(bl.off), bl.data; len(data) > 0; {
			n, err := unix.Pwrite(b.fd, data, off)
			if err != nil || n == 0 {
				return false
			}
			data, off = data[n:], off+int64(n)
		}
	}
	return true
}

func (b *backing) close() { _ = unix.Close(b.fd) }

// attach makes the file the content of m, whose size must be the file's.
func (b *backing) attach(m *linear) bool {
	if m.size != uint64(b.size) {
		return false
	}
	_, err := unix.MmapPtr(b.fd, 0, m.at(0), uintptr(b.size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED)
	m.attached = err == nil
	return err == nil
}

// rewind drops what was written to m since attach. Other files mapped into it stay.
func (b *backing) rewind(m *linear) bool {
	return m.attached && m.size == uint64(b.size) && unix.Madvise(m.reserved[:b.size], unix.MADV_DONTNEED) == nil
}

// at is an address within the memory.
func (m *linear) at(off uint32) unsafe.Pointer {
	return unsafe.Add(unsafe.Pointer(unsafe.SliceData(m.reserved)), off)
}

// pagemap is the kernel's view of this process's pages.
var pagemap = sync.OnceValue(func() *os.File {
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return nil
	}
	return f
})

// Bits of an entry of pagemap.
const (
	pagePresent = 1 << 63
	pageSwapped = 1 << 62
	pageOfFile  = 1 << 61 // or shared
)

// written calls f with each range of an attached memory that was written to. It says
// whether it could find out.
func (m *linear) written(f func(off, n uint32)) bool {
	pages, size := pagemap(), uint64(os.Getpagesize())
	if pages == nil || !m.attached {
		return false
	}
	base := uint64(uintptr(m.at(0)))
	var entries [512 * 8]byte
	for off := uint64(0); off < m.size; {
		n := min(512, (m.size-off)/size)
		if _, err := pages.ReadAt(entries[:n*8], int64((base+off)/size*8)); err != nil {
			return false
		}
		for i := uint64(0); i < n; i++ {
			e := binary.NativeEndian.Uint64(entries[i*8:])
			if e&pageSwapped != 0 || e&pagePresent != 0 && e&pageOfFile == 0 {
				f(uint32(off+i*size), uint32(size))
			}
		}
		off += n * size
	}
	return true
}
