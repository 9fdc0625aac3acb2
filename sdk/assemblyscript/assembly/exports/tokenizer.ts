// Exports of a tokenizer: `export * from ".../exports/tokenizer"`.
import { Flag, pack } from "../abi";
import { Slice } from "../bytes";
import { failed } from "../error";
import { Message } from "../message";
import { output, tidy, tokenizer } from "../served";

export * from "./common";

export function sw_configure(ptr: usize, n: i32): i32 {
  const m = Message.parse(ptr, n);
  return m === null ? failed() : tokenizer!.configure(m);
}
export function sw_encode(ptr: usize, n: i32, flags: u32): i64 {
  tidy();
  output.clear();
  const code = tokenizer!.encode(new Slice(ptr, n), (flags & Flag.SPECIAL) !== 0, output);
  return code < 0 ? code : pack(output.ptr, output.n);
}
export function sw_decode(ptr: usize, n: i32, flags: u32): i64 {
  tidy();
  output.clear();
  const code = tokenizer!.decode(ptr, n, (flags & Flag.SPECIAL) !== 0, output);
  return code < 0 ? code : pack(output.ptr, output.n);
}
