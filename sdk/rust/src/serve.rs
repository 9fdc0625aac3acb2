//! What the macros build upon: the exports' common work.

use crate::abi::{self, pack};
use crate::error::{Error, Result};
use crate::filter::{Filter, FilterFork, Flags};
use crate::message::{Configure, SeqOpen};
use crate::sampler::{Accept, Fork, Plan, Rollback, Row, Sampler};
use crate::tokenizer::Tokenizer;
use alloc::alloc::Layout;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::slice;

/// The plugin of a module and its sequences S. The host calls from one thread and
/// never re-enters, so that only one reference to the inside exists at a time.
pub struct Served<T, S>(UnsafeCell<State<T, S>>);

unsafe impl<T, S> Sync for Served<T, S> {}

struct State<T, S> {
    plugin: Option<T>,
    seqs: Vec<(u64, Box<S>)>, // sorted by number
    window: usize,
    pages: usize,
    words: Vec<u8>, // of the last error
    out: Vec<u8>,  // of the last verdict or decode
    ids: Vec<i32>, // of the last encode
}

impl<T, S> State<T, S> {
    fn plugin(&mut self) -> Result<&mut T> {
        self.plugin.as_mut().ok_or_else(|| Error::new("the plugin is not configured"))
    }

    fn find(&self, seq: u64) -> Result<usize> {
        self.seqs.binary_search_by_key(&seq, |s| s.0).map_err(|_| Error::of(abi::code::ENOENT, "the sequence is not open"))
    }

    /// The plugin and a sequence of it.
    fn both(&mut self, seq: u64) -> Result<(&mut T, &mut S)> {
        let at = self.find(seq)?;
        let plugin = self.plugin.as_mut().ok_or_else(|| Error::new("the plugin is not configured"))?;
        Ok((plugin, &mut self.seqs[at].1))
    }

    /// Puts a sequence in place and returns what was there.
    fn put(&mut self, seq: u64, s: S) -> Option<S> {
        match self.seqs.binary_search_by_key(&seq, |s| s.0) {
            Ok(at) => Some(*core::mem::replace(&mut self.seqs[at].1, Box::new(s))),
            Err(at) => {
                self.seqs.insert(at, (seq, Box::new(s)));
                None
            }
        }
    }

    fn code(&mut self, r: Result<()>) -> i32 {
        match r {
            Ok(()) => 0,
            Err(e) => self.fail(&e),
        }
    }

    fn fail(&mut self, e: &Error) -> i32 {
        self.words.clear();
        self.words.extend_from_slice(e.words());
        e.code()
    }

    fn window(&self, rows: u32) -> Result<*mut u8> {
        let header = self.window as *const abi::Header;
        if self.window == 0 && self.pages == 0 {
            return Err(Error::new("there is no frame"));
        }
        // The frame may lie at address 0, which is no place for a reference.
        let (magic, version, held) = unsafe { ((*header).magic, (*header).version, (*header).rows) };
        if magic != abi::FRAME_MAGIC || version != abi::FRAME_VERSION || rows > held {
            return Err(Error::new("the frame is of another kind"));
        }
        Ok(self.window as *mut u8)
    }
}

/// The n bytes the host put at p.
unsafe fn input<'a, V>(p: *const V, n: u32) -> &'a [V] {
    if n == 0 {
        return &[];
    }
    slice::from_raw_parts(p, n as usize)
}

impl<T, S> Served<T, S> {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Served(UnsafeCell::new(State { plugin: None, seqs: Vec::new(), window: 0, pages: 0, words: Vec::new(), out: Vec::new(), ids: Vec::new() }))
    }

    #[allow(clippy::mut_from_ref)]
    unsafe fn state(&self) -> &mut State<T, S> {
        &mut *self.0.get()
    }

    pub unsafe fn last_error(&self) -> i64 {
        let s = self.state();
        pack(s.words.as_ptr() as usize, s.words.len())
    }

    pub unsafe fn out(&self) -> i64 {
        let s = self.state();
        pack(s.out.as_ptr() as usize, s.out.len())
    }

    /// Makes the plugin of its configuration.
    pub unsafe fn configure(&self, p: *const u8, n: u32, new: impl FnOnce(&Configure) -> Result<T>) -> i32 {
        let s = self.state();
        let made = Configure::parse(input(p, n)).and_then(|m| new(&m)).map(|plugin| s.plugin = Some(plugin));
        s.code(made)
    }

    /// Whole pages of their own: aligned, and apart from the heap.
    pub unsafe fn frame(&self, bytes: u32) -> usize {
        let s = self.state();
        let pages = (bytes as usize + 65535) >> 16;
        if pages > s.pages {
            match grow(pages) {
                Some(at) => {
                    s.window = at;
                    s.pages = pages;
                }
                None => return 0,
            }
        }
        s.window
    }

    unsafe fn begin(&self, seq: u64, p: *const u8, n: u32, open: impl FnOnce(&mut T, &SeqOpen) -> Result<S>, close: impl FnOnce(&mut T, S)) -> i32 {
        let s = self.state();
        let made = SeqOpen::parse(seq, input(p, n)).and_then(|m| open(s.plugin()?, &m));
        let done = made.map(|new| {
            if let (Some(old), Some(plugin)) = (s.put(seq, new), s.plugin.as_mut()) {
                close(plugin, old);
            }
        });
        s.code(done)
    }

    unsafe fn end(&self, seq: u64, close: impl FnOnce(&mut T, S)) -> i32 {
        let s = self.state();
        let done = s.find(seq).map(|at| {
            let (_, old) = s.seqs.remove(at);
            if let Some(plugin) = s.plugin.as_mut() {
                close(plugin, *old);
            }
        });
        s.code(done)
    }

    unsafe fn copy(&self, src: u64, dst: u64, fork: impl FnOnce(&mut T, &S) -> Result<S>, close: impl FnOnce(&mut T, S)) -> i32 {
        let s = self.state();
        let made = s.both(src).and_then(|(plugin, seq)| fork(plugin, seq));
        let done = made.map(|new| {
            if let (Some(old), Some(plugin)) = (s.put(dst, new), s.plugin.as_mut()) {
                close(plugin, old);
            }
        });
        s.code(done)
    }

    /// Calls f for each row of the frame.
    unsafe fn rows(&self, rows: u32, mut f: impl FnMut(&mut T, &mut S, &mut Row) -> Result<()>) -> i32 {
        let s = self.state();
        let done = s.window(rows).and_then(|window| {
            for i in 0..rows {
                let mut row = Row::of(window, i);
                let (plugin, seq) = s.both(row.seq())?;
                f(plugin, seq, &mut row)?;
            }
            Ok(())
        });
        s.code(done)
    }
}

impl<T: Sampler> Served<T, T::Seq> {
    pub unsafe fn sampler_open(&self, seq: u64, p: *const u8, n: u32) -> i32 {
        self.begin(seq, p, n, T::open, T::close)
    }

    pub unsafe fn sampler_close(&self, seq: u64) -> i32 {
        self.end(seq, T::close)
    }

    pub unsafe fn sample(&self, rows: u32) -> i32 {
        self.rows(rows, T::sample)
    }
}

impl<T: Plan> Served<T, T::Seq> {
    pub unsafe fn plan(&self, rows: u32) -> i32 {
        self.rows(rows, T::plan)
    }
}

impl<T: Accept> Served<T, T::Seq> {
    pub unsafe fn accept(&self, seq: u64, p: *const i32, n: u32) -> i32 {
        let s = self.state();
        let done = s.both(seq).and_then(|(plugin, seq)| plugin.accept(seq, input(p, n)));
        s.code(done)
    }
}

impl<T: Rollback> Served<T, T::Seq> {
    pub unsafe fn rollback(&self, seq: u64, n: u32) -> i32 {
        let s = self.state();
        let done = s.both(seq).and_then(|(plugin, seq)| plugin.rollback(seq, n as usize));
        s.code(done)
    }
}

impl<T: Fork> Served<T, T::Seq> {
    pub unsafe fn fork(&self, src: u64, dst: u64) -> i32 {
        self.copy(src, dst, |p, s| p.fork(s), T::close)
    }
}

impl<T: Filter> Served<T, T::Seq> {
    pub unsafe fn filter_open(&self, seq: u64, p: *const u8, n: u32) -> i32 {
        self.begin(seq, p, n, T::open, T::close)
    }

    pub unsafe fn filter_close(&self, seq: u64) -> i32 {
        self.end(seq, T::close)
    }

    pub unsafe fn filter(&self, seq: u64, p: *const u8, n: u32, flags: u32) -> i64 {
        let s = self.state();
        let mut out = core::mem::take(&mut s.out);
        out.clear();
        let verdict = s.both(seq).and_then(|(plugin, seq)| plugin.filter(seq, input(p, n), Flags(flags), &mut out));
        s.out = out;
        match verdict {
            Ok(v) => v.word(),
            Err(e) => s.fail(&e) as i64,
        }
    }
}

impl<T: FilterFork> Served<T, T::Seq> {
    pub unsafe fn filter_fork(&self, src: u64, dst: u64) -> i32 {
        self.copy(src, dst, |p, s| p.fork(s), T::close)
    }
}

impl<T: Tokenizer> Served<T, ()> {
    pub unsafe fn encode(&self, p: *const u8, n: u32, flags: u32) -> i64 {
        let s = self.state();
        let mut ids = core::mem::take(&mut s.ids);
        ids.clear();
        let done = s.plugin().and_then(|t| t.encode(input(p, n), flags & abi::FLAG_SPECIAL != 0, &mut ids));
        s.ids = ids;
        match done {
            Ok(()) => pack(s.ids.as_ptr() as usize, 4 * s.ids.len()),
            Err(e) => s.fail(&e) as i64,
        }
    }

    pub unsafe fn decode(&self, p: *const i32, n: u32, flags: u32) -> i64 {
        let s = self.state();
        let mut out = core::mem::take(&mut s.out);
        out.clear();
        let done = s.plugin().and_then(|t| t.decode(input(p, n), flags & abi::FLAG_SPECIAL != 0, &mut out));
        s.out = out;
        match done {
            Ok(()) => pack(s.out.as_ptr() as usize, s.out.len()),
            Err(e) => s.fail(&e) as i64,
        }
    }
}

fn layout(size: u32, align: u32) -> Option<Layout> {
    Layout::from_size_align((size as usize).max(16), (align as usize).max(16)).ok()
}

pub unsafe fn allocate(size: u32, align: u32) -> *mut u8 {
    match layout(size, align) {
        Some(l) if size < 0x7ff0_0000 => alloc::alloc::alloc(l),
        _ => core::ptr::null_mut(),
    }
}

pub unsafe fn free(p: *mut u8, size: u32, align: u32) {
    if let (false, Some(l)) = (p.is_null(), layout(size, align)) {
        alloc::alloc::dealloc(p, l);
    }
}

#[cfg(target_arch = "wasm32")]
fn grow(pages: usize) -> Option<usize> {
    match core::arch::wasm32::memory_grow(0, pages) {
        usize::MAX => None,
        old => Some(old << 16),
    }
}

/// Elsewhere the frame is memory that is never freed.
#[cfg(not(target_arch = "wasm32"))]
fn grow(pages: usize) -> Option<usize> {
    let layout = Layout::from_size_align(pages << 16, 1 << 16).ok()?;
    Some(unsafe { alloc::alloc::alloc_zeroed(layout) } as usize)
}

/// The exports all kinds have.
#[doc(hidden)]
#[macro_export]
macro_rules! __common {
    ($plugin:ty, $seq:ty, $manifest:expr, $new:expr) => {
        static SANDWARP: $crate::serve::Served<$plugin, $seq> = $crate::serve::Served::new();

        #[used]
        #[cfg_attr(target_arch = "wasm32", link_section = "sw.manifest")]
        static SANDWARP_MANIFEST: [u8; $manifest.size()] = $manifest.encode();

        #[no_mangle]
        pub extern "C" fn sw_abi_v1() -> i64 {
            $manifest.version_word() as i64
        }
        #[no_mangle]
        pub unsafe extern "C" fn sw_alloc(size: u32, align: u32) -> *mut u8 {
            $crate::serve::allocate(size, align)
        }
        #[no_mangle]
        pub unsafe extern "C" fn sw_free(p: *mut u8, size: u32, align: u32) {
            $crate::serve::free(p, size, align)
        }
        #[no_mangle]
        pub unsafe extern "C" fn sw_last_error() -> i64 {
            SANDWARP.last_error()
        }
        #[no_mangle]
        pub unsafe extern "C" fn sw_configure(p: *const u8, n: u32) -> i32 {
            SANDWARP.configure(p, n, $new)
        }
    };
}

/// Makes a type that is a [`Sampler`](crate::Sampler) the module's plugin:
/// `sampler!(Type, MANIFEST)`, or with the optional parts it has, any of `accept`,
/// `plan`, `rollback` and `fork`: `sampler!(Type, MANIFEST, accept, fork)`.
#[macro_export]
macro_rules! sampler {
    ($plugin:ty, $manifest:expr $(, $part:ident)* $(,)?) => {
        $crate::__common!($plugin, <$plugin as $crate::Sampler>::Seq, $manifest, <$plugin as $crate::Sampler>::new);

        #[no_mangle]
        pub unsafe extern "C" fn sw_frame(bytes: u32) -> usize {
            SANDWARP.frame(bytes)
        }
        #[no_mangle]
        pub unsafe extern "C" fn sw_seq_open(seq: u64, p: *const u8, n: u32) -> i32 {
            SANDWARP.sampler_open(seq, p, n)
        }
        #[no_mangle]
        pub unsafe extern "C" fn sw_seq_close(seq: u64) -> i32 {
            SANDWARP.sampler_close(seq)
        }
        #[no_mangle]
        pub unsafe extern "C" fn sw_sample(rows: u32) -> i32 {
            SANDWARP.sample(rows)
        }
        $($crate::__sampler_part!($part);)*
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __sampler_part {
    (accept) => {
        #[no_mangle]
        pub unsafe extern "C" fn sw_accept(seq: u64, p: *const i32, n: u32) -> i32 {
            SANDWARP.accept(seq, p, n)
        }
    };
    (plan) => {
        #[no_mangle]
        pub unsafe extern "C" fn sw_plan(rows: u32) -> i32 {
            SANDWARP.plan(rows)
        }
    };
    (rollback) => {
        #[no_mangle]
        pub unsafe extern "C" fn sw_seq_rollback(seq: u64, n: u32) -> i32 {
            SANDWARP.rollback(seq, n)
        }
    };
    (fork) => {
        #[no_mangle]
        pub unsafe extern "C" fn sw_seq_fork(src: u64, dst: u64) -> i32 {
            SANDWARP.fork(src, dst)
        }
    };
}

/// Makes a type that is a [`Filter`](crate::Filter) the module's plugin:
/// `filter!(Type, MANIFEST)`, or `filter!(Type, MANIFEST, fork)`.
#[macro_export]
macro_rules! filter {
    ($plugin:ty, $manifest:expr $(, $part:ident)* $(,)?) => {
        $crate::__common!($plugin, <$plugin as $crate::Filter>::Seq, $manifest, <$plugin as $crate::Filter>::new);

        #[no_mangle]
        pub unsafe extern "C" fn sw_seq_open(seq: u64, p: *const u8, n: u32) -> i32 {
            SANDWARP.filter_open(seq, p, n)
        }
        #[no_mangle]
        pub unsafe extern "C" fn sw_seq_close(seq: u64) -> i32 {
            SANDWARP.filter_close(seq)
        }
        #[no_mangle]
        pub unsafe extern "C" fn sw_filter(seq: u64, p: *const u8, n: u32, flags: u32) -> i64 {
            SANDWARP.filter(seq, p, n, flags)
        }
        #[no_mangle]
        pub unsafe extern "C" fn sw_out() -> i64 {
            SANDWARP.out()
        }
        $($crate::__filter_part!($part);)*
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __filter_part {
    (fork) => {
        #[no_mangle]
        pub unsafe extern "C" fn sw_seq_fork(src: u64, dst: u64) -> i32 {
            SANDWARP.filter_fork(src, dst)
        }
    };
}

/// Makes a type that is a [`Tokenizer`](crate::Tokenizer) the module's plugin:
/// `tokenizer!(Type, MANIFEST)`.
#[macro_export]
macro_rules! tokenizer {
    ($plugin:ty, $manifest:expr $(,)?) => {
        $crate::__common!($plugin, (), $manifest, <$plugin as $crate::Tokenizer>::new);

        #[no_mangle]
        pub unsafe extern "C" fn sw_encode(p: *const u8, n: u32, flags: u32) -> i64 {
            SANDWARP.encode(p, n, flags)
        }
        #[no_mangle]
        pub unsafe extern "C" fn sw_decode(p: *const i32, n: u32, flags: u32) -> i64 {
            SANDWARP.decode(p, n, flags)
        }
    };
}

/// For plugins that say `#![no_std]`: brings an allocator and makes a panic a trap.
/// Such a module is a third of the size. It takes Rust 1.68; tests on other systems
/// have `std` and are not concerned.
#[macro_export]
macro_rules! no_std {
    () => {
        extern crate alloc;

        #[cfg(target_arch = "wasm32")]
        #[global_allocator]
        static SANDWARP_HEAP: $crate::heap::Heap = $crate::heap::Heap::new();

        #[cfg(target_arch = "wasm32")]
        #[panic_handler]
        fn panicked(_: &core::panic::PanicInfo) -> ! {
            core::arch::wasm32::unreachable()
        }
    };
}
