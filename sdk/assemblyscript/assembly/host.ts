// What the host offers (module sw1).

import { Bytes, Slice } from "./bytes";

// @ts-ignore: decorator
@external("sw1", "log") declare function sw_log(level: i32, ptr: usize, n: i32): i32;
// @ts-ignore: decorator
@external("sw1", "metric") declare function sw_metric(ptr: usize, n: i32, value: f64): i32;
// @ts-ignore: decorator
@external("sw1", "now") declare function sw_now(): u64;
// @ts-ignore: decorator
@external("sw1", "rand") declare function sw_rand(): u64;
// @ts-ignore: decorator
@external("sw1", "kv_get") declare function sw_kv_get(key: usize, n: i32, out: usize, cap: i32): i32;
// @ts-ignore: decorator
@external("sw1", "kv_set") declare function sw_kv_set(key: usize, n: i32, value: usize, length: i32): i32;
// @ts-ignore: decorator
@external("sw1", "vocab_map") declare function sw_vocab_map(out: usize, cap: i32): i64;
// @ts-ignore: decorator
@external("sw1", "op_topk") declare function sw_op_topk(x: usize, n: i32, k: i32, out: usize): i32;
// @ts-ignore: decorator
@external("sw1", "op_mask") declare function sw_op_mask(x: usize, n: i32, mask: usize): i32;
// @ts-ignore: decorator
@external("sw1", "op_scale") declare function sw_op_scale(x: usize, n: i32, mul: f32, add: f32): i32;
// @ts-ignore: decorator
@external("sw1", "op_penalty") declare function sw_op_penalty(x: usize, n: i32, ids: usize, m: i32, repeat: f32, presence: f32, frequency: f32): i32;
// @ts-ignore: decorator
@external("sw1", "op_lse") declare function sw_op_lse(x: usize, n: i32): f64;
// @ts-ignore: decorator
@external("sw1", "op_gather") declare function sw_op_gather(x: usize, n: i32, ids: usize, m: i32, out: usize): i32;

/** A line for the host's log; the higher the level, the worse. */
export function log(level: i32, line: string): void {
  const utf8 = String.UTF8.encode(line);
  sw_log(level, changetype<usize>(utf8), utf8.byteLength);
}

/** Reports a measurement. */
export function metric(name: string, value: f64): void {
  const utf8 = String.UTF8.encode(name);
  sw_metric(changetype<usize>(utf8), utf8.byteLength, value);
}

/** The virtual time in nanoseconds. */
export function now(): u64 {
  return sw_now();
}

/** The next random number of this call. With several rows use splitmix() of the row's seed. */
export function rand(): u64 {
  return sw_rand();
}

/** The random number that follows from a seed (SplitMix64, Steele et al. 2014). */
export function splitmix(seed: u64): u64 {
  let z = seed + 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/** Reads from the plugin's store (capability "kv"); null if there is no such key. */
export function get(key: Slice): Bytes | null {
  const value = new Bytes();
  value.reserve(256);
  while (true) {
    const room = 256 > value.n ? 256 : value.n;
    const n = sw_kv_get(key.ptr, key.n, value.ptr, room);
    if (n < 0) return null;
    value.n = 0;
    if (n <= room) {
      value.n = n;
      return value;
    }
    value.reserve(n);
    value.n = n;
  }
}

/** Writes to the plugin's store (capability "kv"); an empty value deletes. */
export function set(key: Slice, value: Slice): i32 {
  return sw_kv_set(key.ptr, key.n, value.ptr, value.n);
}

/** The texts of the model's tokens (capability "vocab"). */
export class Vocab {
  private constructor(
    private table: Bytes,
    public n: i32,
  ) {}

  /** The model's vocabulary; null if it is not to be had. */
  static load(): Vocab | null {
    const size = sw_vocab_map(0, 0);
    if (size < 8) return null;
    const table = new Bytes();
    table.reserve(<i32>size);
    if (sw_vocab_map(table.ptr, <i32>size) !== size) return null;
    table.n = <i32>size;
    const n = load<i32>(table.ptr);
    if (n < 0 || n > (table.n - 8) / 4) return null;
    return new Vocab(table, n);
  }

  /** The text of token id; nothing if there is no such token. */
  text(id: i32): Slice {
    if (id < 0 || id >= this.n) return new Slice(0, 0);
    const from = load<u32>(this.table.ptr + 4 * <usize>(id + 1));
    const to = load<u32>(this.table.ptr + 4 * <usize>(id + 2));
    const base = 4 * <usize>(this.n + 2);
    if (from > to || base + <usize>to > <usize>this.table.n) return new Slice(0, 0);
    return new Slice(this.table.ptr + base + <usize>from, <i32>(to - from));
  }
}

/** Work on n floats at native speed; a negative result is a code. */
export namespace op {
  /** Writes the k best, best first, to out as candidates; their number. */
  export function topK(x: usize, n: i32, k: i32, out: usize): i32 {
    return sw_op_topk(x, n, k, out);
  }
  /** Excludes the tokens whose bit is clear. */
  export function mask(x: usize, n: i32, bits: usize): i32 {
    return sw_op_mask(x, n, bits);
  }
  /** x*mul + add. */
  export function scale(x: usize, n: i32, mul: f32, add: f32): i32 {
    return sw_op_scale(x, n, mul, add);
  }
  /** Lowers the logits of ids: by a factor, once, and each time they occur. */
  export function penalty(x: usize, n: i32, ids: usize, m: i32, repeat: f32, presence: f32, frequency: f32): i32 {
    return sw_op_penalty(x, n, ids, m, repeat, presence, frequency);
  }
  /** log(sum(exp(x))); NaN on an error. */
  export function logSumExp(x: usize, n: i32): f64 {
    return sw_op_lse(x, n);
  }
  /** Copies the logits of ids to out. */
  export function gather(x: usize, n: i32, ids: usize, m: i32, out: usize): i32 {
    return sw_op_gather(x, n, ids, m, out);
  }
}
