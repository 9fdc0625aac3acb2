//! Memory for plugins without `std`: a list of free blocks in order of address, first
//! fit, neighbours joined. It is a tenth of the size of `std`'s allocator.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;

/// The allocator [`no_std!`](crate::no_std) installs. A module has one thread.
pub struct Heap(UnsafeCell<List>);

unsafe impl Sync for Heap {}

struct List {
    first: usize, // address of the first free block, 0 for none
    ready: bool,
}

/// A free block begins with its size and the address of the next. A taken one has,
/// before what was handed out, its size and its start.
struct Block {
    size: usize,
    next: usize,
}

const HEAD: usize = 16;

impl Heap {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Heap(UnsafeCell::new(List { first: 0, ready: false }))
    }
}

fn up(n: usize, align: usize) -> usize {
    (n + align - 1) & !(align - 1)
}

impl List {
    /// Puts a block back, joined with its neighbours.
    unsafe fn give(&mut self, at: usize, mut size: usize) {
        let (mut before, mut after) = (0, self.first);
        while after != 0 && after < at {
            before = after;
            after = (*(after as *const Block)).next;
        }
        if after != 0 && at + size == after {
            let b = &*(after as *const Block);
            size += b.size;
            after = b.next;
        }
        if before != 0 {
            let b = &mut *(before as *mut Block);
            if before + b.size == at {
                b.size += size;
                b.next = after;
                return;
            }
            b.next = at;
        } else {
            self.first = at;
        }
        *(at as *mut Block) = Block { size, next: after };
    }

    unsafe fn region(&mut self, from: usize, to: usize) {
        let (from, to) = (up(from, 16), to & !15);
        if to >= from + 64 {
            self.give(from, to - from);
        }
    }

    unsafe fn take(&mut self, need: usize, align: usize) -> usize {
        let (mut before, mut at) = (0, self.first);
        while at != 0 {
            let Block { size, next } = *(at as *const Block);
            let p = up(at + HEAD, align);
            let mut used = p - at + need;
            if used <= size {
                let mut rest = next;
                if size - used >= 64 {
                    rest = at + used;
                    *(rest as *mut Block) = Block { size: size - used, next };
                } else {
                    used = size;
                }
                if before != 0 {
                    (*(before as *mut Block)).next = rest;
                } else {
                    self.first = rest;
                }
                *((p - 8) as *mut usize) = used;
                *((p - 4) as *mut usize) = at;
                return p;
            }
            before = at;
            at = next;
        }
        0
    }
}

extern "C" {
    static __heap_base: u8;
}

unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let list = &mut *self.0.get();
        if layout.size() > 0x7ff0_0000 || layout.align() > 65536 {
            return core::ptr::null_mut();
        }
        if !list.ready {
            list.ready = true;
            list.region(core::ptr::addr_of!(__heap_base) as usize, core::arch::wasm32::memory_size(0) << 16);
        }
        let (need, align) = (up(layout.size().max(16), 16), layout.align().max(16));
        let p = list.take(need, align);
        if p != 0 {
            return p as *mut u8;
        }
        let pages = (need + align + HEAD + 65535) >> 16;
        let old = core::arch::wasm32::memory_grow(0, pages);
        if old == usize::MAX {
            return core::ptr::null_mut();
        }
        list.region(old << 16, (old + pages) << 16);
        list.take(need, align) as *mut u8
    }

    unsafe fn dealloc(&self, p: *mut u8, _: Layout) {
        let (size, at) = (*((p as usize - 8) as *const usize), *((p as usize - 4) as *const usize));
        (*self.0.get()).give(at, size);
    }
}
