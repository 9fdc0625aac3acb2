// Phone numbers, and social security numbers.

import { GROUPS, Run, Sep } from "./run";
import { MORE, NONE, View, isDigit } from "./view";
import { Hint, placeAfter } from "./words";

const ZERO: u8 = 0x30;

function isYear(x: i32): bool {
  return x >= 1800 && x <= 2100;
}

/** Whether groups 0..3 are an IP address. */
function isAddress(v: View, r: Run): bool {
  if (r.g(1).sep !== Sep.Dot || !r.sameSeparators(3) || (r.n > 4 && r.g(4).sep === Sep.Dot)) return false;
  for (let k = 0; k < 4; k++) if (r.g(k).length > 3 || r.value(v, k) > 255) return false;
  return true;
}

/** Whether the run begins with a date, an IP address or a span of years. */
export function isNotPhone(v: View, r: Run): bool {
  if (r.plus || r.n < 2) return false;
  const a = r.value(v, 0);
  const b = r.value(v, 1);
  const c = r.n > 2 ? r.value(v, 2) : 0;
  const first = r.g(0).length;
  const second = r.g(1).length;
  if (first === 4 && second === 4 && isYear(a) && isYear(b)) return true;
  const sep = r.g(1).sep;
  if (r.n < 3 || sep !== r.g(2).sep || sep === Sep.Space || sep === Sep.Touch || second > 2) return r.n > 3 && isAddress(v, r);
  const third = r.g(2).length;
  if (first === 4 && third <= 2) return isYear(a) && b <= 12 && c <= 31;
  if (third === 4 && first <= 2) return isYear(c) && a <= 31 && b <= 31;
  return r.n > 3 && isAddress(v, r);
}

/** Whether all groups from..h have at least two digits and at most most. */
function sizes(r: Run, from: i32, h: i32, most: i32): bool {
  for (let k = from; k <= h; k++) if (r.g(k).length < 2 || r.g(k).length > most) return false;
  return true;
}

/**
 * Whether groups 0..h with n digits are an international number after + or 00 (ITU-T
 * E.164: at most 15 digits).
 */
function international(v: View, r: Run, h: i32, n: i32): bool {
  const first = r.digit(v, 0, 0);
  const length = r.g(0).length;
  if (r.plus) {
    if (first === ZERO || n < 8 || n > 15 || (h > 0 && r.g(h).length < 2)) return false;
    return first !== 0x31 || n === 11;
  }
  if (first !== ZERO || length < 2 || r.digit(v, 0, 1) !== ZERO || h === 0 || n < 10 || n > 17 || r.g(h).length < 2) return false;
  if (length > 2) return r.digit(v, 0, 2) !== ZERO && length <= 5;
  return r.g(1).length <= 3 && r.digit(v, 1, 0) !== ZERO && h < 6 && !sizes(r, 0, h, 2);
}

/**
 * North America: area code, exchange, line, with or without 1 in front. Points do not
 * mix with hyphens.
 */
function northAmerican(v: View, r: Run, h: i32): bool {
  const s = r.shape(h);
  const area = s === 0x334 ? 0 : s === 0x1334 && r.digit(v, 0, 0) === 0x31 ? 1 : -1;
  return area >= 0 && r.digit(v, area, 0) >= 0x32 && (r.g(h).sep === Sep.Dot) === (r.g(h - 1).sep === Sep.Dot);
}

/** Whether the group at i is the digits 0123456789. */
function counted(v: View, i: i32): bool {
  for (let k = 0; k < 10; k++) if (v.at(i + k) !== ZERO + <u8>k) return false;
  return true;
}

/** Area code in parentheses, or with the trunk prefix 0. */
function national(v: View, r: Run, h: i32, n: i32): bool {
  const first = r.g(0);
  const trunk = r.digit(v, 0, 0) === ZERO && first.length >= 2 && r.digit(v, 0, 1) !== ZERO;
  if (!sizes(r, 0, h, h === 0 ? 11 : 8) || (h > 0 && r.g(h).paren)) return false;
  if (h === 0) return trunk && (n === 10 || n === 11) && !counted(v, first.from);
  if (first.paren) {
    const years = h === 2 && isYear(r.value(v, 1)) && isYear(r.value(v, 2));
    return n >= 8 && n <= 12 && first.length <= (trunk ? 5 : 3) && (trunk || h >= 2) && !years;
  }
  for (let k = 2; k <= h; k++) if (r.g(k).sep === Sep.Slash) return false;
  return trunk && n >= 9 && n <= 11 && h <= 4 && r.shape(h) !== 0x54;
}

/** Whether groups 0..h stand in a row of numbers, with nothing but spaces between. */
function inRow(v: View, r: Run, h: i32): bool {
  for (let k = 1; k <= h; k++) if (r.g(k).sep !== Sep.Space) return false;
  const more = h + 1 < r.n && r.g(h + 1).sep === Sep.Space;
  return !r.g(0).paren && (more || (v.at(r.start - 1) === 0x20 && isDigit(v.at(r.start - 2))));
}

/** Whether groups 0..h are a plain number with thousands apart. */
function thousands(r: Run, h: i32): bool {
  for (let k = 1; k <= h; k++) if (r.g(k).length !== 3 || r.g(k).sep !== r.g(1).sep || r.g(k).sep === Sep.Hyphen) return false;
  return r.g(0).length <= 3;
}

/** What only a word beside it makes a phone number: 1, NONE, MORE. */
function withWord(v: View, r: Run, h: i32, n: i32, said: Hint): i32 {
  if (n > 15 || n < (h === 0 ? 8 : 7) || h > 5 || !sizes(r, 1, h, 8)) return NONE;
  const phone = said.phone(v, r.start);
  if (phone < 0 || phone === 2) return phone > 0 ? 1 : NONE;
  if (thousands(r, h)) return NONE;
  if (phone === 1 && h > 0) return 1;
  return h + 1 === r.n ? placeAfter(v, r.g(h).close) : NONE;
}

/** The end of an extension (x and up to six digits) after a number that ends at i. */
function extension(v: View, i: i32): i32 {
  let x = i;
  if (x < v.n && v.at(x) === 0x20) x++;
  if (x < v.n && v.at(x) !== 0x78) return i;
  let end = x + 1;
  while (end - x <= 6 && v.digitAt(end)) end++;
  if (end >= v.n && end - x <= 6 && !v.last) return MORE;
  return end > x + 1 && x < v.n ? end : i;
}

/** Whether groups 0..h are a phone number: 1, NONE, MORE. */
function phoneShape(v: View, r: Run, h: i32, n: i32, said: Hint): i32 {
  if (international(v, r, h, n)) return 1;
  if (r.plus) return NONE;
  const series = h + 1 < r.n && (r.g(h + 1).sep !== Sep.Space || r.g(h + 1).length === r.g(h).length);
  if (series) return NONE;
  if ((northAmerican(v, r, h) || national(v, r, h, n)) && !inRow(v, r, h)) return said.phone(v, r.start) >= 0 ? 1 : NONE;
  return withWord(v, r, h, n, said);
}

const total: StaticArray<i32> = new StaticArray<i32>(GROUPS); // digits up to each group's end

/** Where the phone number the run begins with ends; NONE, MORE. */
export function phoneEnd(v: View, r: Run, said: Hint): i32 {
  let n = 0;
  let last = -1;
  for (let k = 0; k < r.n && k < GROUPS - 1; k++) {
    const length = r.g(k).length;
    n += length;
    if (n > 17 || (k > 0 && length > 8) || (k > 2 && length === 1)) break;
    total[(last = k)] = n;
  }
  for (let h = last; h >= 0 && total[h] >= 7; h--) {
    const is = phoneShape(v, r, h, total[h], said);
    if (is === NONE) continue;
    if (is === MORE) return MORE;
    const end = extension(v, r.g(h).close);
    if (end === MORE) return MORE;
    const ok = h + 1 < r.n && end === r.g(h).close ? 1 : v.allowedAfter(end, h === 0 || thousands(r, h));
    if (ok !== NONE) return ok === MORE ? MORE : end;
  }
  return NONE;
}

/** The end of a US social security number, written with hyphens; NONE, MORE. */
export function ssnEnd(v: View, r: Run): i32 {
  if (r.plus || r.g(0).paren || r.n < 3 || r.shape(2) !== 0x324 || r.g(1).sep !== Sep.Hyphen || r.g(2).sep !== Sep.Hyphen) return NONE;
  const area = r.value(v, 0);
  if (area === 0 || area === 666 || r.value(v, 1) === 0 || r.value(v, 2) === 0) return NONE;
  const to = r.g(2).to;
  if (r.n > 3) return r.g(3).sep === Sep.Space ? to : NONE;
  const ok = v.allowedAfter(to, false);
  return ok === 1 ? to : ok;
}
