//! The host's functions in plain Rust, for tests on systems other than wasm32.

use crate::abi::code;
use crate::sampler::Candidate;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::slice;
use std::cell::{Cell, RefCell};

std::thread_local! {
    static SEED: Cell<u64> = Cell::new(0);
    static CLOCK: Cell<u64> = Cell::new(0);
    static STORE: RefCell<BTreeMap<Vec<u8>, Vec<u8>>> = RefCell::new(BTreeMap::new());
}

pub unsafe fn log(level: i32, text: *const u8, n: u32) -> i32 {
    let line = std::string::String::from_utf8_lossy(slice::from_raw_parts(text, n as usize));
    std::eprintln!("{} {}", level, line);
    0
}

pub unsafe fn metric(_name: *const u8, _n: u32, _value: f64) -> i32 {
    0
}

pub unsafe fn now() -> u64 {
    CLOCK.with(|c| {
        c.set(c.get() + 1000);
        c.get()
    })
}

pub unsafe fn rand() -> u64 {
    SEED.with(|s| {
        let mut seed = s.get();
        let v = super::splitmix(&mut seed);
        s.set(seed);
        v
    })
}

pub unsafe fn kv_get(key: *const u8, n: u32, out: *mut u8, cap: u32) -> i32 {
    let key = slice::from_raw_parts(key, n as usize);
    STORE.with(|s| match s.borrow().get(key) {
        None => code::ENOENT,
        Some(v) => {
            core::ptr::copy_nonoverlapping(v.as_ptr(), out, v.len().min(cap as usize));
            v.len() as i32
        }
    })
}

pub unsafe fn kv_set(key: *const u8, n: u32, value: *const u8, len: u32) -> i32 {
    let key = slice::from_raw_parts(key, n as usize).to_vec();
    let value = slice::from_raw_parts(value, len as usize).to_vec();
    STORE.with(|s| {
        if value.is_empty() {
            s.borrow_mut().remove(&key);
        } else {
            s.borrow_mut().insert(key, value);
        }
    });
    0
}

/// There is no model, and so no vocabulary.
pub unsafe fn vocab_map(_out: *mut u8, _cap: u32) -> i64 {
    code::ENOSYS as i64
}

pub unsafe fn op_topk(x: *const f32, n: u32, k: u32, out: *mut Candidate) -> i32 {
    let x = slice::from_raw_parts(x, n as usize);
    let mut ids: Vec<u32> = (0..n).filter(|&i| x[i as usize] >= f32::MIN).collect();
    ids.sort_by(|&a, &b| x[b as usize].total_cmp(&x[a as usize]));
    ids.truncate(k as usize);
    for (i, &id) in ids.iter().enumerate() {
        *out.add(i) = Candidate { id, logit: x[id as usize] };
    }
    ids.len() as i32
}

pub unsafe fn op_mask(x: *mut f32, n: u32, mask: *const u32) -> i32 {
    for i in 0..n as usize {
        if *mask.add(i / 32) >> (i % 32) & 1 == 0 {
            *x.add(i) = f32::NEG_INFINITY;
        }
    }
    0
}

pub unsafe fn op_scale(x: *mut f32, n: u32, mul: f32, add: f32) -> i32 {
    for v in slice::from_raw_parts_mut(x, n as usize) {
        *v = *v * mul + add;
    }
    0
}

pub unsafe fn op_penalty(x: *mut f32, n: u32, ids: *const i32, m: u32, repeat: f32, presence: f32, frequency: f32) -> i32 {
    let mut count = BTreeMap::new();
    for &id in slice::from_raw_parts(ids, m as usize) {
        if id >= 0 && (id as u32) < n {
            *count.entry(id as usize).or_insert(0.0f32) += 1.0;
        }
    }
    for (id, times) in count {
        let v = x.add(id);
        *v = if *v > 0.0 { *v / repeat } else { *v * repeat } - presence - frequency * times;
    }
    0
}

pub unsafe fn op_lse(x: *const f32, n: u32) -> f64 {
    let x = slice::from_raw_parts(x, n as usize);
    let high = x.iter().fold(f64::NEG_INFINITY, |h, &v| h.max(v as f64));
    if high.is_infinite() {
        return high;
    }
    high + x.iter().map(|&v| (v as f64 - high).exp()).sum::<f64>().ln()
}

pub unsafe fn op_gather(x: *const f32, n: u32, ids: *const i32, m: u32, out: *mut f32) -> i32 {
    for (i, &id) in slice::from_raw_parts(ids, m as usize).iter().enumerate() {
        if id < 0 || id as u32 >= n {
            return code::ERANGE;
        }
        *out.add(i) = *x.add(id as usize);
    }
    0
}
