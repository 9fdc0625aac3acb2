// Export of a sampler that plans.
import { failed } from "../error";
import { find, framed, row, sampler, window } from "../served";

export function sw_plan(rows: u32): i32 {
  if (!framed(rows)) return failed();
  for (let i: u32 = 0; i < rows; i++) {
    row.of(window, i);
    const s = find(row.seq);
    if (s === null) return failed();
    const code = sampler!.plan(s, row);
    if (code < 0) return code;
  }
  return 0;
}
