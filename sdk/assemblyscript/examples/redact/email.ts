// E-mail addresses.

import { MORE, NONE, View, isDigit, isLetter, isLetter2, isMark, isWord } from "./view";

const LOCAL_MAX = 64;
const DOMAIN_MAX = 253;

/**
 * Where the local part before end begins: the last LOCAL_MAX bytes of letters, digits
 * and marks, whole characters, not beginning with a mark.
 */
export function localStart(v: View, end: i32): i32 {
  let i = end;
  while (i > v.floor && end - i < LOCAL_MAX) {
    const c = v.at(i - 1);
    if (isWord(c) || isMark(c)) i--;
    else if (i - 1 > v.floor && end - i + 2 <= LOCAL_MAX && isLetter2(v.at(i - 2), c)) i -= 2;
    else break;
  }
  while (i < end && isMark(v.at(i))) i++;
  return i;
}

/**
 * The end of the domain that begins at from. It has two labels or more, and the last is
 * not a number: two letters at least.
 */
function domainEnd(v: View, from: i32): i32 {
  let good = NONE;
  let i = from;
  let label = from;
  let letters = 0;
  while (true) {
    const over = i - from >= DOMAIN_MAX;
    if (i >= v.n && !v.last && !over) return MORE;
    const c: u8 = over || i >= v.n ? 0 : v.at(i);
    if (isDigit(c) || isLetter(c)) {
      if (!isDigit(c)) letters++;
      i++;
      continue;
    }
    if (c >= 0xc3 && c <= 0xdf) {
      if (i + 1 >= v.n && !v.last) return MORE;
      if (i + 1 < v.n && isLetter2(c, v.at(i + 1))) {
        letters += 2;
        i += 2;
        continue;
      }
    }
    if (c === 0x2d && i > label) {
      i++;
      continue;
    }
    let end = i;
    while (end > label && v.at(end - 1) === 0x2d) end--;
    if (label > from && letters >= 2) good = end;
    if (c !== 0x2e || i === label) return good;
    label = ++i;
    letters = 0;
  }
}

/** Where the address starts that emailAt() looked at. */
export let emailStart: i32 = 0;

/** The end of the address whose @ is at i; NONE, MORE. */
export function emailAt(v: View, i: i32): i32 {
  emailStart = localStart(v, i);
  return emailStart === i ? NONE : domainEnd(v, i + 1);
}
