// Payment cards.

import { DIGITS, GROUPS, Run, Sep } from "./run";
import { MORE, NONE, View } from "./view";
import { Hint } from "./words";

function within(x: i32, low: i32, high: i32): bool {
  return x >= low && x <= high;
}

/** Whether issuers give out numbers of n digits that begin with d (six digits). */
function issued(d: i32, n: i32): bool {
  const two = d / 10000;
  const three = d / 1000;
  const four = d / 100;
  if (within(two, 40, 49)) return n === 13 || n === 16 || n === 19; // Visa
  if (n === 16 && (within(two, 51, 55) || within(four, 2200, 2204) || within(four, 2221, 2720))) return true; // Mastercard, Mir
  if (n === 15 && (two === 34 || two === 37 || four === 2131 || four === 1800)) return true; // American Express, early JCB
  if (n === 14 && (within(three, 300, 305) || three === 309 || two === 36 || two === 38 || two === 39)) return true; // Diners Club
  if (n >= 16 && (two === 35 || four === 6011 || within(three, 644, 659) || two === 62 || two === 60)) return true; // JCB, Discover, UnionPay, RuPay
  return two === 50 || within(two, 56, 58) || four === 6304 || four === 6759 || within(four, 6761, 6763); // Maestro
}

/** The check digit (Luhn, US patent 2,950,048; ISO/IEC 7812-1 annex B). */
function luhn(d: StaticArray<u8>, n: i32): bool {
  let sum = 0;
  for (let i = 0; i < n; i++) {
    let x = <i32>d[n - 1 - i];
    if ((i & 1) !== 0) x = x > 4 ? 2 * x - 9 : 2 * x;
    sum += x;
  }
  return sum % 10 === 0;
}

/** Whether groups 0..h stand as on cards: all together, by fours, or 4-6-4/5. */
function cardShape(r: Run, h: i32): bool {
  if (h === 0) return true;
  if (r.g(0).length !== 4 || !r.sameSeparators(h) || r.g(1).sep === Sep.Slash || r.g(1).sep === Sep.Touch) return false;
  if (h === 2 && r.g(1).length === 6 && (r.g(2).length === 4 || r.g(2).length === 5)) return true;
  for (let k = 1; k < h; k++) if (r.g(k).length !== 4) return false;
  return r.g(h).length <= 4;
}

// Scratch: making objects for each number would cost more than looking at it.
const d: StaticArray<u8> = new StaticArray<u8>(DIGITS);
const end: StaticArray<i32> = new StaticArray<i32>(GROUPS); // digits up to each group's end

/** Where the card number the run begins with ends; NONE, MORE. */
export function cardEnd(v: View, r: Run, said: Hint): i32 {
  const first = r.g(0);
  if (r.plus || first.paren || (first.length !== 4 && first.length < 12)) return NONE;
  let n = 0;
  let last = -1;
  for (let k = 0; k < r.n && n + r.g(k).length <= DIGITS && !r.g(k).paren; k++) {
    for (let i = r.g(k).from; i < r.g(k).to; i++) d[n++] = v.at(i) - 0x30;
    end[(last = k)] = n;
  }
  for (let h = last; h >= 0 && end[h] >= 12; h--) {
    let head = 0;
    for (let i = 0; i < 6; i++) head = head * 10 + <i32>d[i];
    const goesOn = h + 1 < r.n && r.g(h + 1).sep !== Sep.Space;
    if (goesOn || !cardShape(r, h) || !luhn(d, end[h])) continue;
    if (!issued(head, end[h]) && !said.card(v, r.start)) continue;
    const ok = h + 1 < r.n ? 1 : v.allowedAfter(r.g(h).to, false);
    if (ok !== NONE) return ok === MORE ? MORE : r.g(h).to;
  }
  return NONE;
}
