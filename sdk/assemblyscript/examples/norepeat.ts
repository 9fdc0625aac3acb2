// norepeat: a sampler that lets no run of n tokens come twice in an answer.
//
// It keeps the tokens of each answer. Where the last n-1 of them stood before, among the
// last 4,096, what followed them there is excluded: the latest 256 such tokens. It needs no
// logits, so it plans each step while the model computes; it takes tokens back, and copies
// a sequence, by itself. A step is bounded, however long the answer is.
//
// Configuration of the plugin, of a request, or both:
//     n   2 to 16, default 3

import { Bytes, CANDIDATE_SIZE, Code, Message, Reader, Row, Sampler, Seq } from "../assembly/index";
import { fail, failText, failWords, serveSampler } from "../assembly/index";
export * from "../assembly/exports/sampler";
export * from "../assembly/exports/accept";
export * from "../assembly/exports/plan";
export * from "../assembly/exports/rollback";
export * from "../assembly/exports/fork";

const WINDOW: i32 = 4096;
const MOST: i32 = 256;

class Story extends Seq {
  tokens: Bytes = new Bytes(); // of the answer, i32
  list: Bytes = new Bytes(); // the last answer, which must stay in place
  run: i32 = 3;

  get count(): i32 {
    return this.tokens.n / 4;
  }
  private token(i: i32): i32 {
    return load<i32>(this.tokens.ptr + 4 * <usize>i);
  }
  private listed(token: i32): bool {
    for (let at = this.list.ptr, end = at + <usize>this.list.n; at < end; at += CANDIDATE_SIZE) if (load<i32>(at) === token) return true;
    return false;
  }

  /** Lists what would complete a run, the latest first; a token must be left. */
  exclude(vocab: i32): i32 {
    this.list.clear();
    const run = this.run - 1;
    const most = min(MOST, vocab - 1);
    const end = this.count - run;
    const first = max(0, end - WINDOW);
    let n = 0;
    for (let at = end - 1; at >= first && n < most; at--) {
      let same = 0;
      while (same < run && this.token(at + same) === this.token(end + same)) same++;
      if (same < run) continue;
      const id = this.token(at + run);
      if (<u32>id >= <u32>vocab || this.listed(id)) continue;
      this.list.push32(id);
      this.list.push32(reinterpret<i32>(-f32.POSITIVE_INFINITY));
      n++;
    }
    return n;
  }
}

class NoRepeat extends Sampler {
  run: i32 = 3;

  configure(m: Message): i32 {
    const config = m.config;
    if (config === null) return 0;
    const run = read(Reader.of(config), false, this.run);
    if (run < 0) return run;
    this.run = run;
    return 0;
  }

  open(m: Message): Seq | null {
    const s = new Story();
    const config = m.config;
    s.run = config === null ? this.run : read(Reader.of(config), true, this.run);
    return s.run < 0 ? null : s;
  }

  sample(seq: Seq, row: Row): i32 {
    const s = <Story>seq;
    const n = s.exclude(row.vocab);
    if (n > 0) row.useBiases(s.list.ptr, n);
    return 0;
  }

  accept(seq: Seq, tokens: usize, n: i32): i32 {
    (<Story>seq).tokens.append(tokens, 4 * n);
    return 0;
  }

  plan(seq: Seq, row: Row): i32 {
    return this.sample(seq, row);
  }

  rollback(seq: Seq, n: i32): i32 {
    const s = <Story>seq;
    if (<u32>n > <u32>s.count) return fail(Code.EINVAL, "so many tokens were not accepted");
    s.tokens.n -= 4 * n;
    return 0;
  }

  fork(seq: Seq): Seq | null {
    const s = <Story>seq;
    const twin = new Story();
    twin.run = s.run;
    twin.tokens = s.tokens.slice().copy();
    return twin;
  }
}

/** Reads n, and of a request the seed, which is the host's; negative after fail(). */
function read(r: Reader, request: bool, run: i32): i32 {
  for (let pairs = r.map(); pairs > 0 && !r.err; pairs--) {
    const key = r.text();
    if (r.err) break;
    if (request && key.is("seed")) {
      r.raw();
      continue;
    }
    if (!key.is("n")) {
      const code = fail(Code.EINVAL, "unknown key ");
      failText(key.ptr, key.n);
      failWords("; known is n");
      return code;
    }
    run = <i32>r.uint(16);
    if (r.err || run < 2) return fail(Code.EINVAL, "n: want 2 to 16");
  }
  return r.err ? fail(Code.EINVAL, "the configuration is not a map") : run;
}

serveSampler(new NoRepeat());
