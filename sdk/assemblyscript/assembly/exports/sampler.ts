// Exports of a sampler: `export * from ".../exports/sampler"`.
import { failed } from "../error";
import { Message } from "../message";
import { find, frame, framed, message, put, row, sampler, seqs, tidy, window } from "../served";

export * from "./common";

export function sw_configure(ptr: usize, n: i32): i32 {
  const m = Message.parse(ptr, n);
  return m === null ? failed() : sampler!.configure(m);
}
export function sw_seq_open(seq: u64, ptr: usize, n: i32): i32 {
  tidy();
  const m = message(seq, ptr, n);
  return m === null ? failed() : put(seq, sampler!.open(m));
}
export function sw_seq_close(seq: u64): i32 {
  const s = find(seq);
  if (s === null) return failed();
  seqs.delete(seq);
  sampler!.close(s);
  return 0;
}
export function sw_frame(bytes: u32): usize {
  return frame(bytes);
}
export function sw_sample(rows: u32): i32 {
  tidy();
  if (!framed(rows)) return failed();
  for (let i: u32 = 0; i < rows; i++) {
    row.of(window, i);
    const s = find(row.seq);
    if (s === null) return failed();
    const code = sampler!.sample(s, row);
    if (code < 0) return code;
  }
  return 0;
}
