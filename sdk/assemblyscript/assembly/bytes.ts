/** n bytes at an address; what the host hands in is valid during the call only. */
export class Slice {
  constructor(
    public ptr: usize,
    public n: i32,
  ) {}

  @inline at(i: i32): u8 {
    return load<u8>(this.ptr + <usize>i);
  }

  /** Whether the bytes are exactly the text. */
  is(text: string): bool {
    if (String.UTF8.byteLength(text) !== this.n) return false;
    const utf8 = String.UTF8.encode(text);
    return memory.compare(changetype<usize>(utf8), this.ptr, <usize>this.n) === 0;
  }

  equals(other: Slice): bool {
    return this.n === other.n && memory.compare(this.ptr, other.ptr, <usize>this.n) === 0;
  }

  slice(from: i32, to: i32): Slice {
    return new Slice(this.ptr + <usize>from, to - from);
  }

  /** A copy that stays. */
  copy(): Bytes {
    const b = new Bytes();
    b.append(this.ptr, this.n);
    return b;
  }
}

/** Bytes that grow, in memory of their own. */
export class Bytes {
  private buffer: ArrayBuffer = new ArrayBuffer(0);
  n: i32 = 0;

  static of(text: string): Bytes {
    const b = new Bytes();
    b.text(text);
    return b;
  }

  /** Where they lie, until more are added. */
  @inline get ptr(): usize {
    return changetype<usize>(this.buffer);
  }

  @inline at(i: i32): u8 {
    return load<u8>(this.ptr + <usize>i);
  }

  slice(): Slice {
    return new Slice(this.ptr, this.n);
  }

  clear(): void {
    this.n = 0;
  }

  /** Makes room for n more. */
  reserve(n: i32): void {
    const need = this.n + n;
    if (need <= this.buffer.byteLength) return;
    const bigger = new ArrayBuffer(2 * need + 32);
    memory.copy(changetype<usize>(bigger), this.ptr, <usize>this.n);
    this.buffer = bigger;
  }

  @inline push(b: u8): void {
    if (this.n === this.buffer.byteLength) this.reserve(1);
    store<u8>(this.ptr + <usize>this.n, b);
    this.n++;
  }

  push32(v: i32): void {
    this.reserve(4);
    store<i32>(this.ptr + <usize>this.n, v);
    this.n += 4;
  }

  append(from: usize, n: i32): void {
    this.reserve(n);
    memory.copy(this.ptr + <usize>this.n, from, <usize>n);
    this.n += n;
  }

  text(s: string): void {
    const utf8 = String.UTF8.encode(s);
    this.append(changetype<usize>(utf8), utf8.byteLength);
  }

  /** The lowest n bytes of v, the highest first. */
  big(v: u64, n: i32): void {
    for (let i = 8 * (n - 1); i >= 0; i -= 8) this.push(<u8>(v >> <u64>i));
  }
}
