// banlist: a sampler that excludes tokens, or makes them more or less likely.
//
// It answers in mask mode with a list of biases, so that it needs no logits, and a step
// costs no more than reading the list. With "allow" it sets a mask besides. Its answers
// do not depend on the text, so that it plans all of them.
//
// Configuration of the plugin, of a request, or both; every key may be left out:
//     ban     [id, ...]           never these
//     allow   [id, ...]           only these
//     bias    {id: number, ...}   added to the logit; ids may be decimal text, for
//                                 JSON's sake; -Infinity is a ban
// What both say applies: bans and biases add up, allowed is what both allow. Ids the
// model does not have are an error if the host names the vocabulary's size at the start,
// and otherwise without effect.

import { Bytes, CANDIDATE_SIZE, Code, MAX_VOCAB, Message, Reader, Row, Sampler, Seq, Type } from "../assembly/index";
import { fail, failNumber, failText, failWords, serveSampler } from "../assembly/index";
export * from "../assembly/exports/sampler";
export * from "../assembly/exports/plan";
export * from "../assembly/exports/fork";

const MAX_ID: u64 = MAX_VOCAB - 1;
let vocabulary: u32 = 0; // 0 if not known

function known(id: u32): bool {
  if (vocabulary === 0 || id < vocabulary) return true;
  fail(Code.ERANGE, "token ");
  failNumber(id);
  failWords(": the vocabulary has ");
  failNumber(vocabulary);
  return false;
}

/** A token id as a number, or as decimal text; r.err if it is neither. */
function readID(r: Reader): u32 {
  if (r.peek() !== Type.Text) return <u32>r.uint(MAX_ID);
  const s = r.text();
  let good = s.n > 0 && s.n <= 7;
  let id: u32 = 0;
  for (let i = 0; good && i < s.n; i++) {
    const c = s.at(i);
    good = c >= 0x30 && c <= 0x39;
    id = id * 10 + <u32>(c - 0x30);
  }
  if (!good || id >= MAX_VOCAB) r.err = true;
  return id;
}

/** What applies to a sequence, ready to be handed over. */
class Policy {
  list: Bytes = new Bytes(); // of candidates: bans (-Infinity) and biases
  allow: Bytes | null = null; // a bit for each token; null: all are allowed
  vocab: i32 = 0; // the list holds no id beyond it; 0 if not yet checked

  get n(): i32 {
    return this.list.n / <i32>CANDIDATE_SIZE;
  }
  id(i: i32): u32 {
    return load<u32>(this.list.ptr + CANDIDATE_SIZE * <usize>i);
  }
  bias(i: i32): f32 {
    return load<f32>(this.list.ptr + CANDIDATE_SIZE * <usize>i, 4);
  }
  private add(id: u32, bias: f32): void {
    this.list.push32(<i32>id);
    this.list.push32(reinterpret<i32>(bias));
  }

  copy(): Policy {
    const p = new Policy();
    p.list = this.list.slice().copy();
    const allow = this.allow;
    if (allow !== null) p.allow = allow.slice().copy();
    p.vocab = this.vocab;
    return p;
  }

  private readBan(r: Reader): i32 {
    for (let n = r.array(); n > 0 && !r.err; n--) {
      const id = <u32>r.uint(MAX_ID);
      if (r.err) break;
      if (!known(id)) return Code.ERANGE;
      this.add(id, -f32.POSITIVE_INFINITY);
    }
    return r.err ? fail(Code.EINVAL, "ban: want an array of token ids") : 0;
  }

  private readBias(r: Reader): i32 {
    for (let n = r.map(); n > 0 && !r.err; n--) {
      const id = readID(r);
      const bias = r.err ? <f32>0 : <f32>r.float();
      if (!(bias < f32.POSITIVE_INFINITY)) r.err = true; // NaN as well
      if (r.err) break;
      if (!known(id)) return Code.ERANGE;
      this.add(id, bias);
    }
    return r.err ? fail(Code.EINVAL, "bias: want a map of token ids to finite numbers") : 0;
  }

  /** Reads the allowed ids into a mask, less what is not allowed already. */
  private readAllow(r: Reader): i32 {
    const n = r.array();
    const mask = new Bytes();
    for (let i = 0; i < n && !r.err; i++) {
      const id = <u32>r.uint(MAX_ID);
      if (r.err) break;
      if (!known(id)) return Code.ERANGE;
      const at = <i32>(id / 32) * 4;
      while (mask.n <= at) mask.push32(0);
      const word = mask.ptr + <usize>at;
      store<u32>(word, load<u32>(word) | ((<u32>1) << (id % 32)));
    }
    if (r.err || n === 0) return fail(Code.EINVAL, "allow: want an array of token ids, one at least");
    const before = this.allow;
    if (before !== null)
      for (let i = 0; i < mask.n; i += 4) {
        const word = mask.ptr + <usize>i;
        store<u32>(word, i < before.n ? load<u32>(word) & load<u32>(before.ptr + <usize>i) : 0);
      }
    this.allow = mask;
    return 0;
  }

  /** Takes banned tokens out of the mask; something must be left. */
  private settle(): i32 {
    const allow = this.allow;
    if (allow === null) return 0;
    for (let i = 0; i < this.n; i++) {
      const at = <i32>(this.id(i) / 32) * 4;
      if (this.bias(i) !== -f32.POSITIVE_INFINITY || at >= allow.n) continue;
      const word = allow.ptr + <usize>at;
      store<u32>(word, load<u32>(word) & ~((<u32>1) << (this.id(i) % 32)));
    }
    let any: u32 = 0;
    for (let i = 0; i < allow.n; i += 4) any |= load<u32>(allow.ptr + <usize>i);
    return any !== 0 ? 0 : fail(Code.EINVAL, "allow: no token is left");
  }

  read(r: Reader, request: bool): i32 {
    this.vocab = 0;
    for (let pairs = r.map(); pairs > 0 && !r.err; pairs--) {
      const key = r.text();
      if (r.err) break;
      let code = 0;
      if (key.is("ban")) code = this.readBan(r);
      else if (key.is("allow")) code = this.readAllow(r);
      else if (key.is("bias")) code = this.readBias(r);
      else if (request && key.is("seed")) r.raw();
      else {
        code = fail(Code.EINVAL, "unknown key ");
        failText(key.ptr, key.n);
        failWords("; known are ban, allow, bias");
      }
      if (code < 0) return code;
    }
    return r.err ? fail(Code.EINVAL, "the configuration is not a map") : this.settle();
  }

  /** Leaves out ids beyond the vocabulary, the first time its size is seen. */
  fit(vocab: i32): void {
    if (this.vocab === vocab) return;
    const list = new Bytes();
    for (let i = 0; i < this.n; i++) if (this.id(i) < <u32>vocab) list.append(this.list.ptr + CANDIDATE_SIZE * <usize>i, <i32>CANDIDATE_SIZE);
    this.list = list;
    this.vocab = vocab;
  }
}

class Request extends Seq {
  own: Policy | null = null; // null: the plugin's own
}

class Banlist extends Sampler {
  standard: Policy = new Policy();

  configure(m: Message): i32 {
    vocabulary = m.vocab;
    const config = m.config;
    return config === null ? 0 : this.standard.read(Reader.of(config), false);
  }

  open(m: Message): Seq | null {
    const q = new Request();
    const config = m.config;
    if (config !== null) {
      const own = this.standard.copy();
      if (own.read(Reader.of(config), true) < 0) return null;
      q.own = own;
    }
    return q;
  }

  sample(seq: Seq, row: Row): i32 {
    const own = (<Request>seq).own;
    const p = own !== null ? own : this.standard;
    p.fit(row.vocab);
    if (p.n > row.vocab) return fail(Code.E2BIG, "there are more bans and biases than tokens");
    const allow = p.allow;
    if (allow !== null) {
      const bytes = 4 * ((row.vocab + 31) / 32);
      memory.copy(row.mask, allow.ptr, <usize>min(allow.n, bytes));
      row.useMask(p.list.ptr, p.n);
    } else if (p.n > 0) {
      row.useBiases(p.list.ptr, p.n);
    }
    return 0;
  }

  plan(seq: Seq, row: Row): i32 {
    return this.sample(seq, row);
  }

  fork(seq: Seq): Seq | null {
    const q = new Request();
    const own = (<Request>seq).own;
    if (own !== null) q.own = own.copy();
    return q;
  }
}

serveSampler(new Banlist());
