// bytes: a tokenizer whose ids are the bytes, and some more for control tokens.
//
// Ids 0 to 255 stand for the bytes; 256 and the following for the control tokens, in
// the order of the configuration:
//     special   [text, ...]   at most 32 of 1 to 32 bytes each, all different;
//                             ["<|begin|>", "<|end|>"] if it is left out
// Where several control tokens match, the longest wins.

import { Bytes, Code, Message, Reader, Slice, Tokenizer, fail, failNumber, failText, failWords, serveTokenizer } from "../assembly/index";
export * from "../assembly/exports/tokenizer";

const MOST = 32; // control tokens, and bytes of one

class ByteTokens extends Tokenizer {
  special: Bytes[] = [Bytes.of("<|begin|>"), Bytes.of("<|end|>")];

  configure(m: Message): i32 {
    const config = m.config;
    if (config === null) return 0;
    this.special = [];
    const r = Reader.of(config);
    for (let pairs = r.map(); pairs > 0 && !r.err; pairs--) {
      const key = r.text();
      if (r.err) break;
      if (!key.is("special")) {
        fail(Code.EINVAL, "unknown key ");
        failText(key.ptr, key.n);
        failWords("; known is special");
        return Code.EINVAL;
      }
      const code = this.read(r);
      if (code < 0) return code;
    }
    return r.err ? fail(Code.EINVAL, "the configuration is not a map") : 0;
  }

  private read(r: Reader): i32 {
    for (let left = r.array(); left > 0 && !r.err; left--) {
      const text = r.text();
      if (r.err) break;
      if (this.special.length === MOST || text.n === 0 || text.n > MOST) return fail(Code.EINVAL, "special: at most 32 texts of 1 to 32 bytes each");
      for (let i = 0; i < this.special.length; i++) {
        if (!text.equals(this.special[i].slice())) continue;
        fail(Code.EINVAL, "special: ");
        failText(text.ptr, text.n);
        failWords(" appears twice");
        return Code.EINVAL;
      }
      this.special.push(text.copy());
    }
    return r.err ? fail(Code.EINVAL, "special: want an array of texts") : 0;
  }

  /** The longest control token that the n bytes at p begin with, -1 for none. */
  private control(p: usize, n: i32): i32 {
    let best = -1;
    let longest = 0;
    for (let i = 0; i < this.special.length; i++) {
      const s = unchecked(this.special[i]);
      if (s.n <= longest || s.n > n || s.at(0) !== load<u8>(p) || memory.compare(s.ptr, p, <usize>s.n) !== 0) continue;
      best = i;
      longest = s.n;
    }
    return best;
  }

  encode(text: Slice, special: bool, ids: Bytes): i32 {
    ids.reserve(4 * text.n);
    for (let i = 0; i < text.n; ) {
      const k = special ? this.control(text.ptr + <usize>i, text.n - i) : -1;
      ids.push32(k < 0 ? <i32>text.at(i) : 256 + k);
      i += k < 0 ? 1 : this.special[k].n;
    }
    return 0;
  }

  decode(ids: usize, n: i32, special: bool, text: Bytes): i32 {
    const known = 256 + this.special.length;
    for (let i = 0; i < n; i++) {
      const id = load<i32>(ids + 4 * <usize>i);
      if (id < 0 || id >= known) {
        fail(Code.ERANGE, "token ");
        failNumber(id);
        failWords(": the vocabulary has ");
        failNumber(known);
        return Code.ERANGE;
      }
      if (id < 256) text.push(<u8>id);
      else if (special) text.append(this.special[id - 256].ptr, this.special[id - 256].n);
    }
    return 0;
  }
}

serveTokenizer(new ByteTokens());
