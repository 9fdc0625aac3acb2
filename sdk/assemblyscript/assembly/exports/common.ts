// Exports of all kinds.
import { MINOR, pack } from "../abi";
import { words } from "../error";
import { features } from "../served";

export function sw_abi_v1(): u64 {
  return (MINOR << 48) | features;
}
export function sw_alloc(size: u32, align: u32): usize {
  return size > 0x3fff0000 || align > 16 ? 0 : heap.alloc(size < 16 ? 16 : size);
}
export function sw_free(ptr: usize, size: u32, align: u32): void {
  if (ptr !== 0) heap.free(ptr);
}
export function sw_last_error(): i64 {
  return words.n > 0 ? pack(words.ptr, words.n) : 0;
}
