// Export of a sampler that takes back accepted tokens.
import { failed } from "../error";
import { find, sampler } from "../served";

export function sw_seq_rollback(seq: u64, n: i32): i32 {
  const s = find(seq);
  return s === null ? failed() : sampler!.rollback(s, n);
}
