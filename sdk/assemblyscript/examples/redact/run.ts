// Runs of digits.

import { MORE, NONE, View, isDigit } from "./view";

/** What is between two groups. */
export enum Sep {
  Space,
  Hyphen,
  Dot,
  Slash,
  Touch,
}

export const GROUPS = 8;
export const DIGITS = 19;

/** A group of digits. */
export class Group {
  from: i32 = 0;
  to: i32 = 0;
  sep: Sep = Sep.Touch; // before the group
  paren: bool = false; // it stands in parentheses
  close: i32 = 0; // its end, the closing parenthesis included

  get length(): i32 {
    return this.to - this.from;
  }
}

let between: Sep = Sep.Touch; // what separator() found

/** The length of the separator at i: 0 for none, MORE. */
function separator(v: View, i: i32): i32 {
  between = Sep.Touch;
  const a = v.at(i);
  if (a === 0x20) between = Sep.Space;
  else if (a === 0x2d) between = Sep.Hyphen;
  else if (a === 0x2e) between = Sep.Dot;
  else if (a === 0x2f) between = Sep.Slash;
  if (between !== Sep.Touch) return 1;
  if (a !== 0xc2 && a !== 0xe2) return 0;
  const length = v.charAt(i);
  if (length <= 0) return length;
  const b = v.at(i + 1);
  const c: u8 = length > 2 ? v.at(i + 2) : 0;
  if (length === 2 ? b === 0xa0 : b === 0x80 && (c === 0x89 || c === 0xaf)) { // U+00A0 2009 202F
    between = Sep.Space;
    return length;
  }
  if (length === 3 && b === 0x80 && c >= 0x90 && c <= 0x93) { // U+2010 to 2013
    between = Sep.Hyphen;
    return length;
  }
  return 0;
}

/**
 * Groups of digits with separators between, from start on. One group more than any match
 * can have is there, if the text has it.
 */
export class Run {
  start: i32 = 0;
  plus: bool = false;
  n: i32 = 0;
  private group: Group[] = [];
  private paren: bool = false; // of the group that opening() looked at

  constructor() {
    for (let k = 0; k < GROUPS; k++) this.group.push(new Group());
  }

  @inline g(k: i32): Group {
    return unchecked(this.group[k]);
  }

  /** Reads the run that begins at start: 1, NONE if there is none, MORE. */
  read(v: View, start: i32): i32 {
    this.start = start;
    this.n = 0;
    this.plus = false;
    let i = start;
    let total = 0;
    let sep = Sep.Touch;
    while (true) {
      i = this.opening(v, i);
      if (i >= v.n) return v.last ? <i32>(this.n > 0) : MORE;
      const apart = sep !== Sep.Touch || this.n === 0 || this.paren || this.g(this.n - 1).paren;
      if (!isDigit(v.at(i)) || !apart) return this.n > 0 ? 1 : NONE;
      const got = this.readGroup(v, i, sep);
      if (got !== 1) return got === MORE ? MORE : <i32>(this.n > 0);
      const last = this.g(this.n - 1);
      total += last.length;
      if (this.enough(total)) return 1;
      i = last.close;
      if (i >= v.n) return v.last ? 1 : MORE;
      const length = separator(v, i);
      if (length === MORE) return MORE;
      sep = between;
      i += length;
    }
  }

  /** Where the digits of the next group must be, past + and parenthesis. */
  private opening(v: View, i: i32): i32 {
    this.paren = i < v.n && v.at(i) === 0x28 && this.n <= 2;
    i += <i32>this.paren;
    if (this.n > 0 || i >= v.n || v.at(i) !== 0x2b) return i;
    this.plus = true;
    i++;
    if (!this.paren && i < v.n && v.at(i) === 0x28) {
      this.paren = true;
      i++;
    }
    return i;
  }

  /** Reads the group of digits at i: 1, NONE if its parenthesis is not closed, MORE. */
  private readGroup(v: View, i: i32, sep: Sep): i32 {
    let end = i;
    while (v.digitAt(end) && end - i <= DIGITS) end++;
    if (end >= v.n && !v.last && end - i <= DIGITS) return MORE;
    if (this.paren && (end >= v.n || v.at(end) !== 0x29)) return NONE;
    const g = this.g(this.n++);
    g.from = i;
    g.to = end;
    g.sep = sep;
    g.paren = this.paren;
    g.close = end + <i32>this.paren;
    return 1;
  }

  /**
   * Whether the run is long enough to judge its first group: nothing has more groups, or
   * two of one digit each.
   */
  private enough(total: i32): bool {
    if (total > DIGITS || this.n === GROUPS) return true;
    if (this.n < 2 || this.plus) return false;
    const a = this.g(this.n - 1);
    const b = this.g(this.n - 2);
    return a.length === 1 && b.length === 1 && !a.paren && !b.paren;
  }

  digits(): i32 {
    let n = 0;
    for (let k = 0; k < this.n; k++) n += this.g(k).length;
    return n;
  }

  /** The group's value, of its first six digits. */
  value(v: View, k: i32): i32 {
    const g = this.g(k);
    const to = min(g.to, g.from + 6);
    let x = 0;
    for (let i = g.from; i < to; i++) x = x * 10 + <i32>(v.at(i) - 0x30);
    return x;
  }

  /** The group's i-th digit. */
  digit(v: View, k: i32, i: i32): u8 {
    return v.at(this.g(k).from + i);
  }

  sameSeparators(h: i32): bool {
    for (let k = 2; k <= h; k++) if (this.g(k).sep !== this.g(1).sep) return false;
    return true;
  }

  /** Lengths of groups 0..h, each in four bits, the first on the left. */
  shape(h: i32): u64 {
    let s: u64 = 0;
    for (let k = 0; k <= h; k++) s = (s << 4) | <u64>min(this.g(k).length, 15);
    return s;
  }
}
