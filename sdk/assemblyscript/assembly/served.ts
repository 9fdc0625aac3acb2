// The plugin of this module and its sequences; what the exports work on.

import { Code, FRAME_MAGIC, FRAME_VERSION } from "./abi";
import { Bytes } from "./bytes";
import { fail, failed } from "./error";
import { Filter, Seq } from "./filter";
import { Message } from "./message";
import { Row, Sampler } from "./sampler";
import { Tokenizer } from "./tokenizer";

export let sampler: Sampler | null = null;
export let filter: Filter | null = null;
export let tokenizer: Tokenizer | null = null;
export let features: u64 = 0;
export const seqs: Map<u64, Seq> = new Map();
export const output: Bytes = new Bytes();
export const row: Row = new Row();

/** Makes s this module's plugin. */
export function serveSampler(s: Sampler): void {
  sampler = s;
  features = s.features;
}

/** Makes f this module's plugin. */
export function serveFilter(f: Filter): void {
  filter = f;
  features = f.features;
}

/** Makes t this module's plugin. */
export function serveTokenizer(t: Tokenizer): void {
  tokenizer = t;
  features = t.features;
}

/** The frame: whole pages of their own, aligned, and apart from the heap. */
export let window: usize = 0;
let pages: i32 = 0;

export function frame(bytes: u32): usize {
  const need = <i32>((<u64>bytes + 0xffff) >> 16);
  if (need <= pages) return window;
  const before = memory.grow(need);
  if (before < 0) return 0;
  window = (<usize>before) << 16;
  pages = need;
  return window;
}

/** Whether there is a frame of this version with so many rows. */
export function framed(rows: u32): bool {
  const good = pages > 0 && load<u32>(window) === FRAME_MAGIC && load<u16>(window, 6) === FRAME_VERSION && rows <= load<u32>(window, 8);
  if (!good) fail(Code.EINVAL, "the frame is of another kind");
  return good;
}

/** A sequence, null after fail(). */
export function find(id: u64): Seq | null {
  if (seqs.has(id)) return seqs.get(id);
  fail(Code.ENOENT, "the sequence is not open");
  return null;
}

export function message(id: u64, ptr: usize, n: i32): Message | null {
  const m = Message.parse(ptr, n);
  if (m !== null) m.seq = id;
  return m;
}

/** Puts a sequence in place; made is null after fail(). */
export function put(id: u64, made: Seq | null): i32 {
  if (made === null) return failed();
  made.id = id;
  seqs.set(id, made);
  return 0;
}

let calls: i32 = 0;

/**
 * Collects garbage once in a while. The exports call it before they make anything: the
 * runtime must not collect while there are references on the stack.
 */
export function tidy(): void {
  if (++calls < 64) return;
  calls = 0;
  __collect();
}
