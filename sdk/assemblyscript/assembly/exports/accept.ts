// Export of a sampler that is told which tokens were chosen.
import { failed } from "../error";
import { find, sampler } from "../served";

export function sw_accept(seq: u64, ptr: usize, n: i32): i32 {
  const s = find(seq);
  return s === null ? failed() : sampler!.accept(s, ptr, n);
}
