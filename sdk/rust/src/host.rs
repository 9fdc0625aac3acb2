//! What the host offers. Outside wasm32 the same functions do in plain Rust what the
//! host's do, for tests.

use crate::abi::code;
use crate::error::{check, Error, Result};
use crate::sampler::Candidate;
use alloc::vec::Vec;

/// A line for the host's log; the higher the level, the worse.
pub fn log(level: i32, line: &str) {
    unsafe { sys::log(level, line.as_ptr(), line.len() as u32) };
}

/// Reports a measurement.
pub fn metric(name: &str, value: f64) {
    unsafe { sys::metric(name.as_ptr(), name.len() as u32, value) };
}

/// The virtual time in nanoseconds.
pub fn now() -> u64 {
    unsafe { sys::now() }
}

/// The next random number of this call. With several rows use [`splitmix`] of the
/// row's seed instead.
pub fn rand() -> u64 {
    unsafe { sys::rand() }
}

/// Moves a seed on and returns a random number (SplitMix64, Steele et al. 2014).
pub fn splitmix(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// Reads from the plugin's store (capability "kv"); None if there is no such key.
pub fn kv_get(key: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut value = Vec::with_capacity(256);
    loop {
        let got = unsafe { sys::kv_get(key.as_ptr(), key.len() as u32, value.as_mut_ptr(), value.capacity() as u32) };
        if got == code::ENOENT {
            return Ok(None);
        }
        let n = check(got)? as usize;
        if n <= value.capacity() {
            unsafe { value.set_len(n) };
            return Ok(Some(value));
        }
        value.reserve(n);
    }
}

/// Writes to the plugin's store (capability "kv"); an empty value deletes.
pub fn kv_set(key: &[u8], value: &[u8]) -> Result<()> {
    check(unsafe { sys::kv_set(key.as_ptr(), key.len() as u32, value.as_ptr(), value.len() as u32) }).map(|_| ())
}

/// The texts of the model's tokens.
pub struct Vocab {
    table: Vec<u8>,
    n: usize,
}

/// The model's vocabulary (capability "vocab").
pub fn vocab() -> Result<Vocab> {
    let size = unsafe { sys::vocab_map(core::ptr::null_mut(), 0) };
    if size < 0 {
        return Err(Error::of(size as i32, "the vocabulary is not to be had"));
    }
    let mut table: Vec<u8> = Vec::with_capacity(size as usize);
    unsafe {
        if sys::vocab_map(table.as_mut_ptr(), size as u32) != size {
            return Err(Error::of(code::EIO, "the vocabulary has changed"));
        }
        table.set_len(size as usize);
    }
    Vocab::parse(table)
}

impl Vocab {
    /// Reads a table as `vocab_map` hands it over.
    pub fn parse(table: Vec<u8>) -> Result<Vocab> {
        let bad = || Error::new("the vocabulary's table is malformed");
        let mut v = Vocab { table, n: 0 };
        if v.table.len() < 8 {
            return Err(bad());
        }
        let n = v.word(0);
        if n > (v.table.len() - 8) / 4 {
            return Err(bad());
        }
        v.n = n;
        let text = v.table.len() - 4 * (n + 2);
        for i in 0..n {
            if v.word(i + 1) > v.word(i + 2) || v.word(i + 2) > text {
                return Err(bad());
            }
        }
        Ok(v)
    }

    fn word(&self, i: usize) -> usize {
        let b = &self.table[4 * i..4 * i + 4];
        u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// The text of token id; nothing if there is no such token.
    pub fn text(&self, id: usize) -> &[u8] {
        if id >= self.n {
            return &[];
        }
        let base = 4 * (self.n + 2);
        &self.table[base + self.word(id + 1)..base + self.word(id + 2)]
    }
}

/// Writes the best of the logits, best first, to out and returns their number.
pub fn top_k(logits: &[f32], out: &mut [Candidate]) -> Result<usize> {
    let n = unsafe { sys::op_topk(logits.as_ptr(), logits.len() as u32, out.len() as u32, out.as_mut_ptr()) };
    check(n).map(|n| n as usize)
}

/// Excludes the tokens whose bit is clear.
pub fn apply_mask(logits: &mut [f32], mask: &[u32]) -> Result<()> {
    if mask.len() < (logits.len() + 31) / 32 {
        return Err(Error::new("the mask is too short"));
    }
    check(unsafe { sys::op_mask(logits.as_mut_ptr(), logits.len() as u32, mask.as_ptr()) }).map(|_| ())
}

/// Replaces each logit x by x*mul + add.
pub fn scale(logits: &mut [f32], mul: f32, add: f32) -> Result<()> {
    check(unsafe { sys::op_scale(logits.as_mut_ptr(), logits.len() as u32, mul, add) }).map(|_| ())
}

/// Lowers the logits of ids: by the factor repeat, by presence once and by frequency
/// each time they occur.
pub fn penalty(logits: &mut [f32], ids: &[i32], repeat: f32, presence: f32, frequency: f32) -> Result<()> {
    check(unsafe { sys::op_penalty(logits.as_mut_ptr(), logits.len() as u32, ids.as_ptr(), ids.len() as u32, repeat, presence, frequency) }).map(|_| ())
}

/// log(sum(exp(x))); NaN on an error.
pub fn log_sum_exp(logits: &[f32]) -> f64 {
    unsafe { sys::op_lse(logits.as_ptr(), logits.len() as u32) }
}

/// Copies the logits of ids to out.
pub fn gather(logits: &[f32], ids: &[i32], out: &mut [f32]) -> Result<()> {
    if out.len() < ids.len() {
        return Err(Error::new("the output is too short"));
    }
    check(unsafe { sys::op_gather(logits.as_ptr(), logits.len() as u32, ids.as_ptr(), ids.len() as u32, out.as_mut_ptr()) }).map(|_| ())
}

#[cfg(target_arch = "wasm32")]
mod sys {
    use crate::sampler::Candidate;

    #[link(wasm_import_module = "sw1")]
    extern "C" {
        pub fn log(level: i32, text: *const u8, n: u32) -> i32;
        pub fn metric(name: *const u8, n: u32, value: f64) -> i32;
        pub fn now() -> u64;
        pub fn rand() -> u64;
        pub fn kv_get(key: *const u8, n: u32, out: *mut u8, cap: u32) -> i32;
        pub fn kv_set(key: *const u8, n: u32, value: *const u8, len: u32) -> i32;
        pub fn vocab_map(out: *mut u8, cap: u32) -> i64;
        pub fn op_topk(x: *const f32, n: u32, k: u32, out: *mut Candidate) -> i32;
        pub fn op_mask(x: *mut f32, n: u32, mask: *const u32) -> i32;
        pub fn op_scale(x: *mut f32, n: u32, mul: f32, add: f32) -> i32;
        pub fn op_penalty(x: *mut f32, n: u32, ids: *const i32, m: u32, repeat: f32, presence: f32, frequency: f32) -> i32;
        pub fn op_lse(x: *const f32, n: u32) -> f64;
        pub fn op_gather(x: *const f32, n: u32, ids: *const i32, m: u32, out: *mut f32) -> i32;
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod sys;
