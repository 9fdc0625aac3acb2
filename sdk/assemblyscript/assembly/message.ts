// Messages are msgpack (https://github.com/msgpack/msgpack/blob/master/spec.md).

import { Code, MAX_DEPTH, MAX_VOCAB } from "./abi";
import { Bytes, Slice } from "./bytes";
import { fail } from "./error";

/** What the next value is. */
export enum Type {
  None, // nothing is left, or it is not msgpack, or an extension type
  Nil,
  Bool,
  Int,
  Float,
  Text,
  Bytes,
  Array,
  Map,
}

/**
 * A bounded reader. The first error sticks in err, and all that is read after it is
 * zero: check err once, at the end.
 */
export class Reader {
  err: bool = false;
  private end: usize;

  constructor(
    public at: usize,
    n: i32,
  ) {
    this.end = at + <usize>n;
  }

  static of(s: Slice): Reader {
    return new Reader(s.ptr, s.n);
  }

  /** Whether all was read, and without an error. */
  get done(): bool {
    return !this.err && this.at === this.end;
  }

  wrong(): void {
    this.err = true;
    this.at = this.end;
  }

  private take(n: u64): usize {
    if (this.err || n > <u64>(this.end - this.at)) {
      this.wrong();
      return 0;
    }
    const p = this.at;
    this.at += <usize>n;
    return p;
  }

  private big(n: i32): u64 {
    const p = this.take(n);
    let v: u64 = 0;
    for (let i = 0; p !== 0 && i < n; i++) v = (v << 8) | <u64>load<u8>(p + <usize>i);
    return v;
  }

  peek(): Type {
    if (this.err || this.at === this.end) return Type.None;
    const c = load<u8>(this.at);
    if (c < 0x80 || c >= 0xe0 || (c >= 0xcc && c <= 0xd3)) return Type.Int;
    if (c < 0x90 || c === 0xde || c === 0xdf) return Type.Map;
    if (c < 0xa0 || c === 0xdc || c === 0xdd) return Type.Array;
    if (c < 0xc0 || (c >= 0xd9 && c <= 0xdb)) return Type.Text;
    if (c === 0xc0) return Type.Nil;
    if (c === 0xc2 || c === 0xc3) return Type.Bool;
    if (c >= 0xc4 && c <= 0xc6) return Type.Bytes;
    if (c === 0xca || c === 0xcb) return Type.Float;
    return Type.None;
  }

  /** The type code of the next value if it is of the type wanted, else -1. */
  private code(want: Type): i32 {
    if (this.peek() !== want) {
      this.wrong();
      return -1;
    }
    return <i32>load<u8>(this.at++);
  }

  /** Consumes a nil; says whether there was one. */
  nil(): bool {
    if (this.peek() !== Type.Nil) return false;
    this.at++;
    return true;
  }

  bool(): bool {
    return this.code(Type.Bool) === 0xc3;
  }

  /** An integer that fits 64 signed bits. */
  int(): i64 {
    const c = this.code(Type.Int);
    if (c < 0) return 0;
    if (c < 0x80 || c >= 0xe0) return <i64>(<i8>c);
    const n = 1 << (c & 3); // 0xcc and 0xd0 begin runs of four
    const v = this.big(n);
    if (c >= 0xd0) {
      const shift = <i64>(64 - 8 * n); // stretch the sign over the upper bits
      return ((<i64>v) << shift) >> shift;
    }
    if (v > <u64>i64.MAX_VALUE) {
      this.wrong();
      return 0;
    }
    return <i64>v;
  }

  /** An integer from 0 to most. */
  uint(most: u64): u64 {
    let v: u64;
    if (!this.err && this.at < this.end && load<u8>(this.at) === 0xcf) {
      this.at++;
      v = this.big(8);
    } else {
      const s = this.int();
      if (s < 0) this.wrong();
      v = <u64>s;
    }
    if (v > most) this.wrong();
    return this.err ? 0 : v;
  }

  /** A float or an integer. */
  float(): f64 {
    if (this.peek() !== Type.Float) return <f64>this.int();
    if (this.code(Type.Float) === 0xcb) return reinterpret<f64>(this.big(8));
    return <f64>reinterpret<f32>(<u32>this.big(4));
  }

  /** Text or bytes, not copied. */
  text(): Slice {
    const bytes = this.peek() === Type.Bytes;
    const c = this.code(bytes ? Type.Bytes : Type.Text);
    if (c < 0) return new Slice(0, 0);
    const n = c < 0xc0 ? <u64>(c & 31) : this.big(1 << (c - (bytes ? 0xc4 : 0xd9)));
    const p = this.take(n);
    return new Slice(p, this.err ? 0 : <i32>n);
  }

  /** An array's or map's count; each value inside takes a byte at least. */
  private count(want: Type, wide: i32, each: u64): i32 {
    const c = this.code(want);
    if (c < 0) return 0;
    const n = c < 0xa0 ? <u64>(c & 15) : this.big(2 << (c - wide));
    if (this.err || n * each > <u64>(this.end - this.at)) {
      this.wrong();
      return 0;
    }
    return <i32>n;
  }

  /** The number of values that follow. */
  array(): i32 {
    return this.count(Type.Array, 0xdc, 1);
  }

  /** The number of pairs that follow. */
  map(): i32 {
    return this.count(Type.Map, 0xde, 2);
  }

  /** Reads over a scalar, or the head of an array or map: the values inside. */
  private skipOne(): i32 {
    const type = this.peek();
    if (type === Type.Array) return this.array();
    if (type === Type.Map) return 2 * this.map();
    if (type === Type.Text || type === Type.Bytes) this.text();
    else if (type === Type.Int && load<u8>(this.at) === 0xcf) this.uint(u64.MAX_VALUE);
    else if (type === Type.Int) this.int();
    else if (type === Type.Float) this.float();
    else if (type === Type.None) this.wrong();
    else this.at++;
    return 0;
  }

  /** Reads over one whole value, at most 32 deep, and returns its bytes. */
  raw(): Slice {
    const from = this.at;
    const todo = new StaticArray<i32>(MAX_DEPTH + 1); // values still to come at each depth
    let depth = 0;
    todo[0] = 1;
    while (!this.err) {
      while (depth > 0 && todo[depth] === 0) depth--;
      if (todo[depth] === 0) return new Slice(from, <i32>(this.at - from));
      todo[depth]--;
      const inside = this.skipOne();
      if (inside === 0) continue;
      if (depth === MAX_DEPTH) this.wrong();
      else todo[++depth] = inside;
    }
    return new Slice(0, 0);
  }
}

/** What the host says at the start, and of a new sequence. */
export class Message {
  /** One msgpack value of the plugin's, or the request's, own; null for none. */
  config: Slice | null = null;
  seed: u64 = 0;
  /** At the start: number of the model's tokens, 0 if not known. */
  vocab: u32 = 0;
  /** At the start: name and version of the host. */
  host: Slice = new Slice(0, 0);
  /** Of a new sequence: its number. */
  seq: u64 = 0;

  /** Reads a message; null, after fail(), if it is malformed. */
  static parse(ptr: usize, n: i32): Message | null {
    const m = new Message();
    const r = new Reader(ptr, n);
    for (let pairs = r.map(); pairs > 0 && !r.err; pairs--) {
      const key = r.text();
      if (key.is("config")) {
        if (!r.nil()) m.config = r.raw();
      } else if (key.is("seed")) m.seed = r.uint(u64.MAX_VALUE);
      else if (key.is("vocab")) m.vocab = <u32>r.uint(MAX_VOCAB);
      else if (key.is("host")) m.host = r.text();
      else r.raw();
    }
    if (r.done) return m;
    fail(Code.EINVAL, "the host's message is malformed");
    return null;
  }
}

/** Writers of msgpack: each appends one value in its shortest form. */
export namespace write {
  export function nil(b: Bytes): void {
    b.push(0xc0);
  }

  export function bool_(b: Bytes, v: bool): void {
    b.push(v ? 0xc3 : 0xc2);
  }

  export function uint(b: Bytes, v: u64): void {
    if (v < 1 << 7) return b.push(<u8>v);
    const width = v < 1 << 8 ? 0 : v < 1 << 16 ? 1 : v < <u64>1 << 32 ? 2 : 3;
    b.push(<u8>(0xcc + width));
    b.big(v, 1 << width);
  }

  export function int(b: Bytes, v: i64): void {
    if (v >= 0) return uint(b, <u64>v);
    if (v >= -32) return b.push(<u8>v);
    const width = v >= i8.MIN_VALUE ? 0 : v >= i16.MIN_VALUE ? 1 : v >= i32.MIN_VALUE ? 2 : 3;
    b.push(<u8>(0xd0 + width));
    b.big(<u64>v, 1 << width);
  }

  export function float(b: Bytes, v: f64): void {
    b.push(0xcb);
    b.big(reinterpret<u64>(v), 8);
  }

  /** A type code of the right width and a length; code8 0: there is no 8-bit form. */
  function length(b: Bytes, n: i32, code8: u8, code16: u8): void {
    if (n < 1 << 8 && code8 !== 0) {
      b.push(code8);
      b.big(n, 1);
    } else if (n < 1 << 16) {
      b.push(code16);
      b.big(n, 2);
    } else {
      b.push(code16 + 1);
      b.big(n, 4);
    }
  }

  export function text(b: Bytes, s: Slice): void {
    if (s.n < 32) b.push(0xa0 | <u8>s.n);
    else length(b, s.n, 0xd9, 0xda);
    b.append(s.ptr, s.n);
  }

  export function bytes(b: Bytes, s: Slice): void {
    length(b, s.n, 0xc4, 0xc5);
    b.append(s.ptr, s.n);
  }

  export function array(b: Bytes, n: i32): void {
    if (n < 16) b.push(0x90 | <u8>n);
    else length(b, n, 0, 0xdc);
  }

  export function map(b: Bytes, n: i32): void {
    if (n < 16) b.push(0x80 | <u8>n);
    else length(b, n, 0, 0xde);
  }
}
