import { Bytes, Slice } from "./bytes";
import { Message } from "./message";

/** What is known of a sequence: a plugin's own class extends it. */
export class Seq {
  id: u64 = 0;
}

/** Judges text before it is shown. A plugin extends it and calls serveFilter(). */
export abstract class Filter {
  /** Features it cannot do without; the manifest names the same. */
  features: u64 = 0;
  /** What is released by replace() and stop(); empty when filter() is called. UTF-8. */
  out: Bytes = new Bytes();

  /** The configuration, once, before all else; 0, or what fail() returned. */
  configure(m: Message): i32 {
    return 0;
  }
  /** Begins a sequence; null, after fail(), refuses the request. */
  abstract open(m: Message): Seq | null;
  /**
   * Judges text, which is all of the sequence that is not yet judged: pass(n), hold(),
   * replace(n), stop(n), or what fail() returned. The outcome must not depend on how
   * the text was cut.
   */
  abstract filter(seq: Seq, text: Slice, flags: u32): i64;
  /** Ends a sequence. */
  close(seq: Seq): void {}
  /**
   * A sequence in the state of seq, independent from then on. Only called if the plugin
   * exports "exports/fork"; without, the host copies the whole instance.
   */
  fork(seq: Seq): Seq | null {
    return null;
  }
}

function verdict(action: i64, n: i32): i64 {
  return (action << 56) | <i64>n;
}

/** Releases the first n bytes as they are. */
export function pass(n: i32): i64 {
  return verdict(0, n);
}

/** Releases nothing until more comes. */
export function hold(): i64 {
  return verdict(1, 0);
}

/** Releases what was written to out for the first n bytes. */
export function replace(n: i32): i64 {
  return verdict(2, n);
}

/** As replace; then the answer ends. */
export function stop(n: i32): i64 {
  return verdict(3, n);
}
