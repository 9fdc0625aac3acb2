// Exports of a filter: `export * from ".../exports/filter"`.
import { pack } from "../abi";
import { Slice } from "../bytes";
import { failed } from "../error";
import { Message } from "../message";
import { filter, find, message, put, seqs, tidy } from "../served";

export * from "./common";

export function sw_configure(ptr: usize, n: i32): i32 {
  const m = Message.parse(ptr, n);
  return m === null ? failed() : filter!.configure(m);
}
export function sw_seq_open(seq: u64, ptr: usize, n: i32): i32 {
  tidy();
  const m = message(seq, ptr, n);
  return m === null ? failed() : put(seq, filter!.open(m));
}
export function sw_seq_close(seq: u64): i32 {
  const s = find(seq);
  if (s === null) return failed();
  seqs.delete(seq);
  filter!.close(s);
  return 0;
}
export function sw_filter(seq: u64, ptr: usize, n: i32, flags: u32): i64 {
  tidy();
  const s = find(seq);
  if (s === null) return failed();
  const f = filter!;
  f.out.clear();
  return f.filter(s, new Slice(ptr, n), flags);
}
export function sw_out(): i64 {
  return pack(filter!.out.ptr, filter!.out.n);
}
