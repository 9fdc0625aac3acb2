import { Bytes } from "./bytes";

/**
 * Length of the UTF-8 character the n bytes at p begin with (n > 0): 1 to 4; 0 if they
 * begin with none; -1 if more bytes are needed to tell.
 */
export function charLength(p: usize, n: i32): i32 {
  const a = load<u8>(p);
  if (a < 0x80) return 1;
  if (a < 0xc2 || a > 0xf4) return 0;
  const length = a < 0xe0 ? 2 : a < 0xf0 ? 3 : 4;
  for (let i = 1; i < length; i++) {
    if (i >= n) return -1;
    let low: u8 = 0x80;
    let high: u8 = 0xbf; // no long forms, no surrogates, no more than U+10FFFF
    if (i === 1) {
      low = a === 0xe0 ? 0xa0 : a === 0xf0 ? 0x90 : 0x80;
      high = a === 0xed ? 0x9f : a === 0xf4 ? 0x8f : 0xbf;
    }
    const b = load<u8>(p + <usize>i);
    if (b < low || b > high) return 0;
  }
  return length;
}

/**
 * The n bytes of text less a character at its end of which bytes are still to come; all
 * of them at the end of the text.
 */
export function whole(p: usize, n: i32, end: bool): i32 {
  for (let back = 1; back <= 3 && back <= n && !end; back++) {
    const tail = p + <usize>(n - back);
    if ((load<u8>(tail) & 0xc0) !== 0x80) return charLength(tail, back) < 0 ? n - back : n; // the start of the last character
  }
  return n;
}

/**
 * Appends n bytes; in place of bytes that are not UTF-8 it writes '?'. What a filter
 * puts in place of text must be UTF-8.
 */
export function clean(out: Bytes, p: usize, n: i32): void {
  for (let i = 0; i < n; ) {
    const length = charLength(p + <usize>i, n - i);
    if (length <= 0) {
      out.push(0x3f);
      i++;
    } else {
      out.append(p + <usize>i, length);
      i += length;
    }
  }
}
