// Export of a sampler or filter that copies a sequence's state itself.
import { failed } from "../error";
import { filter, find, put, sampler } from "../served";

export function sw_seq_fork(src: u64, dst: u64): i32 {
  const s = find(src);
  if (s === null) return failed();
  const f = filter;
  return put(dst, f !== null ? f.fork(s) : sampler!.fork(s));
}
