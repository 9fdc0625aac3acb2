import { CANDIDATE_SIZE, Choice, ROW_SIZE } from "./abi";
import { Message } from "./message";
import { Seq } from "./filter";

/** Chooses the next token, or changes how likely each is; see serveSampler(). */
export abstract class Sampler {
  features: u64 = 0;

  /** The configuration, once; 0, or what fail() returned. */
  configure(m: Message): i32 {
    return 0;
  }
  /** Begins a sequence; null, after fail(), refuses the request. */
  abstract open(m: Message): Seq | null;
  /**
   * Handles one row: it calls one of the row's methods, or none to leave the choice as
   * it is. 0, or what fail() returned.
   */
  abstract sample(seq: Seq, row: Row): i32;
  close(seq: Seq): void {}

  // Only called if the plugin exports the module of the name below "exports/".

  /** accept: the n tokens (i32 at an address) that were chosen. */
  accept(seq: Seq, tokens: usize, n: i32): i32 {
    return 0;
  }
  /**
   * plan: a row whose logits are not there yet. In mode mask it may be answered here;
   * then sample is not called. A plan may be dropped: sample must answer the same.
   */
  plan(seq: Seq, row: Row): i32 {
    return 0;
  }
  /** rollback: forgets the last n accepted tokens. */
  rollback(seq: Seq, n: i32): i32 {
    return 0;
  }
  /** fork: a sequence in the state of seq, independent from then on. */
  fork(seq: Seq): Seq | null {
    return null;
  }
}

/** One sequence for which a token is to be chosen; valid during the call only. */
export class Row {
  private i: usize = 0;
  private window: usize = 0;
  /** The row's address. */
  ptr: usize = 0;

  /** Makes it the i-th row of a frame. */
  of(window: usize, i: i32): this {
    this.window = window;
    this.i = <usize>i;
    this.ptr = window + <usize>load<u32>(window, 28) + ROW_SIZE * this.i;
    return this;
  }

  get seq(): u64 {
    return load<u64>(this.ptr);
  }
  /** Row a draft branched from, -1 for none. */
  get parent(): i32 {
    return load<i32>(this.ptr, 8);
  }
  /** Tokens before the one to choose. */
  get pos(): i32 {
    return load<i32>(this.ptr, 12);
  }
  /** Seed of this choice. */
  get seed(): u64 {
    return load<u64>(this.ptr, 32);
  }
  /** Number of the model's tokens. */
  get vocab(): i32 {
    return load<i32>(this.window, 12);
  }
  /** The request's settings, 0 where not said. */
  get temperature(): f32 {
    return load<f32>(this.ptr, 40);
  }
  get topP(): f32 {
    return load<f32>(this.ptr, 44);
  }
  get topK(): u32 {
    return load<u32>(this.ptr, 48);
  }
  get minP(): f32 {
    return load<f32>(this.ptr, 52);
  }
  /** The last tokens, oldest first (i32), as many as the manifest asks for. */
  get history(): usize {
    return this.window + <usize>load<u32>(this.ptr, 16);
  }
  get historyN(): i32 {
    return load<i32>(this.ptr, 20);
  }
  /** Mode candidates: the most likely tokens, best first; 8 bytes each. */
  get candidates(): usize {
    return this.window + <usize>load<u32>(this.window, 48) + CANDIDATE_SIZE * this.i * <usize>load<u32>(this.window, 52);
  }
  get candidatesN(): i32 {
    return load<i32>(this.ptr, 24);
  }
  candidateID(k: i32): i32 {
    return load<i32>(this.candidates + CANDIDATE_SIZE * <usize>k);
  }
  candidateLogit(k: i32): f32 {
    return load<f32>(this.candidates + CANDIDATE_SIZE * <usize>k, 4);
  }
  setCandidate(k: i32, id: i32, logit: f32): void {
    store<i32>(this.candidates + CANDIDATE_SIZE * <usize>k, id);
    store<f32>(this.candidates + CANDIDATE_SIZE * <usize>k, logit, 4);
  }
  /** Mode dense: all logits (f32), to edit in place; 0 while planning. */
  get logits(): usize {
    const off = load<u32>(this.window, 32);
    return off === 0 ? 0 : this.window + <usize>off + this.i * <usize>load<u32>(this.window, 36);
  }
  /** Modes mask and dense: words (u32) of a bit for each allowed token, zero at first. */
  get mask(): usize {
    const off = load<u32>(this.window, 40);
    return off === 0 ? 0 : this.window + <usize>off + this.i * <usize>load<u32>(this.window, 44);
  }
  get action(): u32 {
    return load<u32>(this.ptr, 56);
  }

  private choose(action: u32): void {
    store<u32>(this.ptr, action, 56);
  }
  /** Chooses the token. */
  pick(token: i32): void {
    this.choose(Choice.PICK);
    store<i32>(this.ptr, token, 60);
  }
  /** Takes over the edited logits. */
  useLogits(): void {
    this.choose(Choice.EDIT);
  }
  /** Leaves only the first n of the edited candidates. */
  useCandidates(n: i32): void {
    store<i32>(this.ptr, n, 24);
    this.choose(Choice.EDIT);
  }
  /** Takes over the first n of the edited candidates; other tokens stay. */
  keepCandidates(n: i32): void {
    store<i32>(this.ptr, n, 24);
    this.choose(Choice.KEEP);
  }
  /** Excludes the tokens not in the mask, then applies n biases. */
  useMask(list: usize, n: i32): void {
    this.list(list, n);
    this.choose(Choice.MASK);
  }
  /**
   * Adds to the logits of n tokens, listed like candidates; -Infinity excludes one. The
   * list must stay in place until the next call.
   */
  useBiases(list: usize, n: i32): void {
    this.list(list, n);
    this.choose(Choice.BIAS);
  }
  private list(list: usize, n: i32): void {
    if (n === 0) return;
    store<u32>(this.ptr, <u32>list, 68);
    store<i32>(this.ptr, n, 72);
  }
  /** Reports the log-probability of the pick. */
  logprob(v: f32): void {
    store<f32>(this.ptr, v, 64);
  }
}
