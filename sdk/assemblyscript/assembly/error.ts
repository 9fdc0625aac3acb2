import { Bytes } from "./bytes";
import { Code } from "./abi";

/** The words of the last error; at most 256 bytes. */
export const words: Bytes = new Bytes();
let code: i32 = Code.EIO;

/** Notes what went wrong, for the user to read, and returns the code. */
export function fail(c: i32, text: string): i32 {
  code = c;
  words.clear();
  words.text(text);
  return c;
}

/** Adds to the note. */
export function failText(ptr: usize, n: i32): void {
  words.append(ptr, min(n, max(256 - words.n, 0)));
}

export function failWords(text: string): void {
  words.text(text);
}

export function failNumber(n: i64): void {
  words.text(n.toString());
}

/** The code of the last error. */
export function failed(): i32 {
  return code < 0 ? code : Code.EIO;
}
