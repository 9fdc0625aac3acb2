// Words about a number.

import { CONTEXT, MORE, NONE, View, isLetter } from "./view";

/**
 * Words by their first letter, each followed by what it says: + a phone number comes, @
 * one went before, & both, $ a card comes, ! another number comes. A star stands for any
 * ending. "number" says little (#).
 */
const words: StaticArray<string> = [
  "answer*+ account! amex$", // a
  "",
  "call+ calls+ called+ calling+ cell& cellphone+ contact+ card$ cards$ credit$ case!", // c
  "dial+ dialed+ debit$ doi!",
  "",
  "fax&", // f
  "",
  "hotline+ helpline+ handy+ home@",
  "id! isbn*! issn! iban! invoice!", // i
  "",
  "",
  "landline+ license! licence!",
  "mobile& mobil+ mastercard$ maestro$ model!", // m
  "number#",
  "office@ order!",
  "phone*& passport! population! part!", // p
  "",
  "reach+ reached+ ring+ reference!",
  "sms+ ssn! serial! sku!", // s
  "tel& telephone*+ telef*+ text+ ticket! tracking! timestamp!",
  "",
  "voicemail+ visa$ version!",
  "whatsapp+ work@", // w
  "",
  "",
  "",
];

const PLUS = 0x2b;
const AFTER = 0x40; // @
const BOTH = 0x26; // &
const DOLLAR = 0x24;
const LITTLE = 0x23; // #
const STAR = 0x2a;

let length: i32 = 0; // of the word says() found

/** What the word that the n bytes at w begin with says, 0 for nothing. */
function says(w: usize, n: i32): i32 {
  const t = words[(load<u8>(w) | 32) - 0x61];
  const size = t.length;
  for (let at = 0; at < size; ) {
    let i = 0;
    let c = t.charCodeAt(at);
    while (i < n && isLetter(<u8>c) && c === (load<u8>(w + <usize>i) | 32)) c = t.charCodeAt(at + ++i);
    const star = c === STAR;
    let end = i;
    while (star && end < n && isLetter(load<u8>(w + <usize>end))) end++;
    if (!isLetter(<u8>c) && (end === n || !isLetter(load<u8>(w + <usize>end)))) {
      length = end;
      return star ? t.charCodeAt(at + i + 1) : c;
    }
    while (at < size && t.charCodeAt(at) !== 0x20) at++;
    at++;
  }
  return 0;
}

/** What the sentence before a number says of it; read when first asked for. */
export class Hint {
  private read: bool = false;
  private phone_: i32 = 0; // 2 a phone word, 1 "number", -1 a word for other numbers
  private card_: bool = false;
  private bytes: StaticArray<u8> = new StaticArray<u8>(CONTEXT);

  /** Forgets the number before. */
  clear(): this {
    this.read = this.card_ = false;
    this.phone_ = 0;
    return this;
  }

  phone(v: View, start: i32): i32 {
    if (!this.read) this.look(v, start);
    return this.phone_;
  }
  card(v: View, start: i32): bool {
    if (!this.read) this.look(v, start);
    return this.card_;
  }

  private look(v: View, start: i32): void {
    this.read = true;
    const w = changetype<usize>(this.bytes);
    for (let i = 0; i < CONTEXT; i++) store<u8>(w + <usize>i, v.at(start - CONTEXT + i));
    let told = -1; // where the last telling word ends
    for (let i = 1; i < CONTEXT; i++) {
      const c = load<u8>(w + <usize>i);
      if (!isLetter(c)) {
        const stop = c === 0x2e || c === 0x21 || c === 0x3f;
        if (stop && told !== i && i + 1 < CONTEXT && load<u8>(w + <usize>i, 1) === 0x20) {
          this.phone_ = 0; // another sentence, unless "Tel. "
          this.card_ = false;
        }
        continue;
      }
      const word = isLetter(load<u8>(w + <usize>(i - 1))) ? 0 : says(w + <usize>i, CONTEXT - i);
      if (word === 0 || word === AFTER) continue;
      told = i + length;
      if (word !== LITTLE) {
        this.phone_ = word === PLUS || word === BOTH ? 2 : -1;
        this.card_ = word === DOLLAR;
      } else if (this.phone_ === 0) {
        this.phone_ = 1;
      }
    }
  }
}

/** Whether a word after the number that ends at i says that it is a phone's: 1, NONE, MORE. */
export function placeAfter(v: View, i: i32): i32 {
  const from = i;
  while (i < v.n && i - from < 2 && (v.at(i) === 0x20 || v.at(i) === 0x2d || v.at(i) === 0x28)) i++;
  const word = i;
  while (i < v.n && i - word < 8 && isLetter(v.at(i))) i++;
  if (i >= v.n && !v.last) return MORE;
  if (i === word || i - word === 8) return NONE;
  const said = says(v.p + <usize>word, i - word);
  return said === BOTH || said === AFTER ? 1 : NONE;
}
