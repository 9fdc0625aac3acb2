// The text of a call, and its characters.

import { charLength } from "../../assembly/index";

/** Results of matchers; a match is its end. */
export const NONE: i32 = 0;
export const MORE: i32 = -1;

export const CONTEXT: i32 = 48;

/** The last bytes that were judged, for a decision may look back at them. */
export class Past {
  n: i32 = 0;
  private text: StaticArray<u8> = new StaticArray<u8>(CONTEXT);

  at(i: i32): u8 {
    return this.text[i];
  }

  /** Keeps the last bytes of what is settled. */
  remember(p: usize, n: i32): void {
    const text = changetype<usize>(this.text);
    if (n >= CONTEXT) {
      memory.copy(text, p + <usize>(n - CONTEXT), CONTEXT);
      this.n = CONTEXT;
      return;
    }
    const keep = min(this.n, CONTEXT - n);
    memory.copy(text, text + <usize>(this.n - keep), <usize>keep);
    memory.copy(text + <usize>keep, p, <usize>n);
    this.n = keep + n;
  }

  copyFrom(other: Past): void {
    memory.copy(changetype<usize>(this.text), changetype<usize>(other.text), CONTEXT);
    this.n = other.n;
  }
}

/** What the character before a run allows: a card number, a phone number, one of digits
 * without separators. */
export const CARD: i32 = 1;
export const PHONE: i32 = 2;
export const PLAIN: i32 = 4;
const ALL: i32 = 7;

@inline export function isDigit(c: u8): bool {
  return c - 0x30 < 10;
}
@inline export function isLetter(c: u8): bool {
  return (c | 32) - 0x61 < 26;
}
export function isWord(c: u8): bool {
  return isDigit(c) || isLetter(c) || c === 0x5f;
}
/** Punctuation inside of local parts: . - + % ' ~ */
export function isMark(c: u8): bool {
  return c === 0x2e || c === 0x2d || c === 0x2b || c === 0x25 || c === 0x27 || c === 0x7e;
}

/**
 * Whether two bytes are a letter that addresses may hold: U+00C0 to U+07FF, that is
 * Latin, Greek, Cyrillic, Hebrew and Arabic, less the signs for times and divided.
 */
export function isLetter2(a: u8, b: u8): bool {
  return a >= 0xc3 && a <= 0xdf && (b & 0xc0) === 0x80 && !(a === 0xc3 && (b === 0x97 || b === 0xb7));
}

/** The text of a call, what came before it, and how far it is settled. */
export class View {
  floor: i32 = 0; // matches begin here or later

  constructor(
    public p: usize,
    public n: i32,
    public last: bool, // nothing follows
    public before: Past,
  ) {}

  /** The byte at i >= -CONTEXT; 0 before the text's start. */
  at(i: i32): u8 {
    if (i >= 0) return load<u8>(this.p + <usize>i);
    i += this.before.n;
    return i >= 0 ? this.before.at(i) : 0;
  }

  digitAt(i: i32): bool {
    return i < this.n && isDigit(this.at(i));
  }

  /** charLength of the text at i; nothing more comes if the text is at its end. */
  charAt(i: i32): i32 {
    const length = charLength(this.p + <usize>i, this.n - i);
    return length < 0 && this.last ? 0 : length;
  }

  /** The next place from i on where something may begin: @ + ( digits, not ASCII. */
  nextPlace(i: i32): i32 {
    for (; i < this.n; i++) {
      const c = load<u8>(this.p + <usize>i);
      if (c >= 0x80 || isDigit(c) || c === 0x40 || c === 0x2b || c === 0x28) return i;
    }
    return this.n;
  }

  allowedBefore(i: i32): i32 {
    const a = this.at(i - 1);
    const b = this.at(i - 2);
    if (a >= 0x80) {
      const c = this.at(i - 3);
      const money = (b === 0xc2 && (a === 0xa3 || a === 0xa5)) || (c === 0xe2 && b === 0x82);
      return isLetter2(b, a) || money ? 0 : ALL;
    }
    if (isWord(a)) return 0;
    switch (a) {
      case 0x2e: // .
      case 0x3a: // :
        return isDigit(b) ? 0 : ALL;
      case 0x2c: // ,
        return isDigit(b) ? CARD | PHONE : ALL;
      case 0x2d: // -
      case 0x2b: // +
        return isWord(b) ? 0 : ALL;
      case 0x28: // (
        return isWord(b) ? CARD : ALL;
      case 0x24: // $
        return 0;
      case 0x2f: // /
      case 0x5c: // \
      case 0x23: // #
      case 0x60: // `
        return isWord(b) ? 0 : CARD;
    }
    return ALL;
  }

  /** Whether a number may end at i: 1, NONE, MORE. A plain one is not followed by decimals. */
  allowedAfter(i: i32, plain: bool): i32 {
    if (i >= this.n) return this.last ? 1 : MORE;
    const c = this.at(i);
    if (isWord(c) || c === 0x40 || c === 0x25) return NONE;
    if ((c === 0x2c && plain) || c === 0x3a || c === 0x2e) {
      if (i + 1 >= this.n) return this.last ? 1 : MORE;
      return isDigit(this.at(i + 1)) ? NONE : 1;
    }
    if (c < 0x80) return 1;
    const length = this.charAt(i);
    if (length === MORE) return MORE;
    const b = length > 1 ? this.at(i + 1) : 0;
    if (length === 2 && (isLetter2(c, b) || (c === 0xc2 && b !== 0xa0 && b !== 0xbb))) return NONE; // a letter, a unit, money
    return length === 3 && c === 0xe2 && b === 0x82 ? NONE : 1;
  }
}
