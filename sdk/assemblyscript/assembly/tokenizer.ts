import { Bytes, Slice } from "./bytes";
import { Message } from "./message";

/** Turns text into ids and back. Calls have no state: they may go to any copy. */
export abstract class Tokenizer {
  features: u64 = 0;

  /** The configuration, once; 0, or what fail() returned. */
  configure(m: Message): i32 {
    return 0;
  }
  /**
   * Appends the ids of text with ids.push32(). With special, the texts of control
   * tokens become their ids. 0, or what fail() returned.
   */
  abstract encode(text: Slice, special: bool, ids: Bytes): i32;
  /** Appends the bytes of n ids (i32 at an address); control tokens only with special. */
  abstract decode(ids: usize, n: i32, special: bool, text: Bytes): i32;
}
