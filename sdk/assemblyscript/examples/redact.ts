// redact: a filter that takes e-mail addresses, phone numbers, payment card numbers and
// US social security numbers out of a text while it is being written.
//
// What is redacted depends on the text alone, not on how it is cut into pieces: a
// decision about a place looks at most CONTEXT bytes back and at most hold_max bytes
// ahead, and is put off until that much is there or the text has ended. Time is linear:
// each byte is looked at a bounded number of times.
//
// Configuration of the plugin, of a request, or both; every key may be left out:
//     email, phone, card, ssn   text to write instead, at most 64 bytes, or nil to leave
//                               this kind alone; "[email]", "[phone]", ...
//     text                      the same for all kinds
//     prompts                   true: redact prompts too. They pass otherwise
//
// The same program exists in C, Rust and Go, and a test compares what they do: change
// all four.

import { Bytes, Code, Feature, Filter, Flag, Message, Reader, Seq, Slice, fail, failText, failWords, hold, pass, replace, serveFilter, whole } from "../assembly/index";
import { cardEnd } from "./redact/card";
import { emailAt, emailStart, localStart } from "./redact/email";
import { isNotPhone, phoneEnd, ssnEnd } from "./redact/phone";
import { Run } from "./redact/run";
import { CARD, MORE, NONE, PHONE, PLAIN, Past, View, isDigit } from "./redact/view";
import { Hint } from "./redact/words";
export * from "../assembly/exports/filter";
export * from "../assembly/exports/fork";

const KINDS: StaticArray<string> = ["email", "phone", "card", "ssn"];
enum Kind {
  Email,
  Phone,
  Card,
  SSN,
}
const LABEL_MAX = 64;

/** What is written instead of each kind, null to leave it alone. */
class Settings {
  labels: (Bytes | null)[] = [Bytes.of("[email]"), Bytes.of("[phone]"), Bytes.of("[card]"), Bytes.of("[ssn]")];
  prompts: bool = false;

  copy(): Settings {
    const s = new Settings();
    for (let k = 0; k < 4; k++) s.labels[k] = this.labels[k];
    s.prompts = this.prompts;
    return s;
  }

  /** Reads a label for one kind, or for all if kind is -1. */
  private readLabel(r: Reader, kind: i32): i32 {
    let label: Bytes | null = null;
    if (!r.nil()) {
      const text = r.text();
      if (r.err || text.n > LABEL_MAX) return fail(Code.EINVAL, "configuration: a replacement is nil or text of at most 64 bytes");
      label = text.copy();
    }
    for (let k = 0; k < 4; k++) if (kind < 0 || k === kind) this.labels[k] = label;
    return 0;
  }

  private readSetting(r: Reader, key: Slice): i32 {
    for (let k = 0; k < 4; k++) if (key.is(KINDS[k])) return this.readLabel(r, k);
    if (key.is("text")) return this.readLabel(r, -1);
    if (key.is("prompts")) {
      this.prompts = r.bool();
      return r.err ? fail(Code.EINVAL, "configuration: prompts is true or false") : 0;
    }
    fail(Code.EINVAL, "configuration: unknown key ");
    failText(key.ptr, key.n);
    failWords("; known are email, phone, card, ssn, text, prompts");
    return Code.EINVAL;
  }

  /** Reads a map of settings. A request's may have a seed besides. */
  read(r: Reader, request: bool): i32 {
    for (let pairs = r.map(); pairs > 0 && !r.err; pairs--) {
      const key = r.text();
      if (r.err) break;
      if (request && key.is("seed")) {
        r.raw();
        continue;
      }
      const code = this.readSetting(r, key);
      if (code < 0) return code;
    }
    return r.err ? fail(Code.EINVAL, "configuration: want a map") : 0;
  }
}

/** What is known of a sequence. */
class Stream extends Seq {
  before: Past = new Past();
  own: Settings | null = null; // null: standard
}

/** What is at a place, as look() finds it. */
let start: i32 = 0;
let end: i32 = 0;
let next: i32 = 0;
let kind: Kind = Kind.Email;

// One of each is enough: making them for each number would cost more than the look.
const run: Run = new Run();
const hint: Hint = new Hint();

/**
 * The end of the number at i, and its kind; NONE, MORE. It depends on the text around i
 * only, never on what was found before: where a call ends and the next begins must not
 * matter.
 */
function numberAt(v: View, i: i32): i32 {
  kind = Kind.Card;
  const may = v.allowedBefore(i);
  if (may === 0) return NONE;
  const r = run;
  const got = r.read(v, i);
  if (got !== 1 || r.digits() < 7) return got === MORE ? MORE : NONE;
  const said = hint.clear();
  let found = (may & CARD) !== 0 ? cardEnd(v, r, said) : NONE;
  if (found !== NONE || (may & PHONE) === 0 || (r.n === 1 && (may & PLAIN) === 0) || isNotPhone(v, r)) return found;
  kind = Kind.SSN;
  found = ssnEnd(v, r);
  if (found !== NONE) return found;
  kind = Kind.Phone;
  return phoneEnd(v, r, said);
}

/** Looks at place i: sets start, end (or NONE, MORE), next and kind. */
function look(v: View, s: Settings, i: i32): void {
  start = i;
  if (v.at(i) >= 0x80) { // not ASCII: a find if it is not UTF-8
    const length = v.charAt(i);
    end = length === 0 ? i + 1 : length === MORE ? MORE : NONE;
    next = i + length;
    return;
  }
  next = i + 1;
  if (v.at(i) === 0x40) {
    end = emailAt(v, i);
    start = emailStart;
    kind = Kind.Email;
  } else {
    end = numberAt(v, i);
  }
  if (end > 0 && s.labels[kind] === null) { // it stays, in one piece
    next = v.floor = end;
    end = NONE;
  }
  while (next < v.n && isDigit(v.at(next - 1)) && isDigit(v.at(next))) next++; // nothing begins inside of a group
}

/**
 * Judges the text: writes to out what is released if anything differs, which out.n > 0
 * or changed says. Returns the number of bytes settled.
 */
let changed: bool = false;
function judge(v: View, s: Settings, out: Bytes): i32 {
  let copied = 0;
  let settled = -1;
  changed = false;
  for (let i = v.nextPlace(0); settled < 0 && i < v.n; i = v.nextPlace(i)) {
    const odd = v.at(i) >= 0x80;
    look(v, s, i);
    i = next;
    if (end === MORE) settled = start;
    if (end <= 0) continue;
    out.append(v.p + <usize>copied, start - copied);
    if (odd) {
      out.push(0xef); // U+FFFD
      out.push(0xbf);
      out.push(0xbd);
    } else {
      const label = s.labels[kind]!;
      out.append(label.ptr, label.n);
    }
    changed = true;
    i = v.floor = copied = end;
  }
  if (settled < 0) settled = v.n;
  if (!v.last) settled = min(settled, localStart(v, whole(v.p, v.n, false))); // the last word may go on to be an address
  if (changed) out.append(v.p + <usize>copied, settled - copied);
  return settled;
}

class Redact extends Filter {
  features: u64 = Feature.REPLAY; // what was judged matters
  standard: Settings = new Settings();

  configure(m: Message): i32 {
    const config = m.config;
    return config === null ? 0 : this.standard.read(Reader.of(config), false);
  }

  open(m: Message): Seq | null {
    const s = new Stream();
    const config = m.config;
    if (config !== null) {
      const own = this.standard.copy();
      if (own.read(Reader.of(config), true) < 0) return null;
      s.own = own;
    }
    return s;
  }

  filter(seq: Seq, text: Slice, flags: u32): i64 {
    const stream = <Stream>seq;
    const own = stream.own;
    const s = own !== null ? own : this.standard;
    if ((flags & Flag.PROMPT) !== 0 && !s.prompts) return pass(text.n);
    const before = stream.before;
    if ((flags & Flag.REPLAY) !== 0) {
      before.n = 0;
      before.remember(text.ptr, text.n);
      return pass(text.n);
    }
    if (text.n < 0 || text.n > i32.MAX_VALUE / 4) return fail(Code.E2BIG, "the text is longer than 512 MiB");
    const v = new View(text.ptr, text.n, (flags & Flag.END) !== 0, before);
    const settled = judge(v, s, this.out);
    before.remember(text.ptr, settled);
    if (v.last) before.n = 0;
    if (changed) return replace(settled);
    return settled === 0 && text.n > 0 ? hold() : pass(settled);
  }

  fork(seq: Seq): Seq | null {
    const from = <Stream>seq;
    const s = new Stream();
    s.own = from.own; // settings do not change
    s.before.copyFrom(from.before);
    return s;
  }
}

serveFilter(new Redact());
