// golden: the ABI's byte vectors, read and written again.
//
// A filter for tests. It takes a text "NAME HEX", reads the bytes as what the name says,
// and answers with the hex of what it writes of that: the same, if reader and writer are
// right.

import { Bytes, Code, Feature, Filter, Flag, HEADER_SIZE, MINOR, Message, ROW_SIZE, Reader, Row, Seq, Slice, Type } from "../assembly/index";
import { fail, hold, pack, pass, replace, serveFilter, write } from "../assembly/index";
export * from "../assembly/exports/filter";

function digit(c: u8): i32 {
  if (c - 0x30 < 10) return <i32>(c - 0x30);
  return c >= 0x61 && c <= 0x66 ? <i32>c - 0x61 + 10 : -1;
}

function fromHex(hex: Slice): Bytes | null {
  const b = new Bytes();
  for (let i = 0; i < hex.n; i += 2) {
    const high = digit(hex.at(i));
    const low = i + 1 < hex.n ? digit(hex.at(i + 1)) : -1;
    if (high < 0 || low < 0) {
      fail(Code.EINVAL, "not hex");
      return null;
    }
    b.push(<u8>((high << 4) | low));
  }
  return b;
}

/** Copies one value, at most depth deep, through reader and writer. */
function value(r: Reader, out: Bytes, depth: i32): void {
  const type = depth > 0 ? r.peek() : Type.None;
  if (type === Type.Nil) {
    r.nil();
    write.nil(out);
  } else if (type === Type.Bool) write.bool_(out, r.bool());
  else if (type === Type.Int) {
    if (load<u8>(r.at) === 0xcf) write.uint(out, r.uint(u64.MAX_VALUE));
    else write.int(out, r.int());
  } else if (type === Type.Float) write.float(out, r.float());
  else if (type === Type.Text) write.text(out, r.text());
  else if (type === Type.Bytes) write.bytes(out, r.text());
  else if (type === Type.Array) {
    const n = r.array();
    write.array(out, n);
    for (let i = 0; i < n && !r.err; i++) value(r, out, depth - 1);
  } else if (type === Type.Map) {
    const n = r.map();
    write.map(out, n);
    for (let i = 0; i < 2 * n && !r.err; i++) value(r, out, depth - 1);
  } else r.wrong();
}

function key(out: Bytes, name: string): void {
  write.text(out, Bytes.of(name).slice());
}

function configAndSeed(m: Message, out: Bytes): void {
  key(out, "config");
  const config = m.config;
  if (config === null) write.nil(out);
  else value(Reader.of(config), out, 8);
  key(out, "seed");
  write.uint(out, m.seed);
}

function configure(b: Bytes, out: Bytes): bool {
  const m = Message.parse(b.ptr, b.n);
  if (m === null) return false;
  write.map(out, 4);
  configAndSeed(m, out);
  key(out, "vocab");
  write.uint(out, m.vocab);
  key(out, "host");
  write.text(out, m.host);
  return true;
}

function seqOpen(b: Bytes, out: Bytes): bool {
  const m = Message.parse(b.ptr, b.n);
  if (m === null) return false;
  write.map(out, 2);
  configAndSeed(m, out);
  return true;
}

function put32(out: Bytes, v: u64): void {
  out.push32(<i32>v);
}

function put64(out: Bytes, v: u64): void {
  put32(out, v);
  put32(out, v >> 32);
}

/** The fields a plugin reads of a row, in order; then the bytes it does not name. */
function fields(row: Row, frame: usize, out: Bytes): void {
  put64(out, row.seq);
  put32(out, row.parent);
  put32(out, row.pos);
  put32(out, <u64>(row.history - frame));
  put32(out, row.historyN);
  put32(out, row.candidatesN);
  put32(out, 0); // flags
  put64(out, row.seed);
  put32(out, reinterpret<u32>(row.temperature));
  put32(out, reinterpret<u32>(row.topP));
  put32(out, row.topK);
  put32(out, reinterpret<u32>(row.minP));
  put32(out, row.action);
  out.append(row.ptr + 60, 68);
}

/** A row as it is, or as it is after picking token 999 with log-probability -1.5. */
function row(b: Bytes, pick: bool, out: Bytes): bool {
  if (b.n !== <i32>ROW_SIZE) return false;
  const frame = new Bytes(); // header, then the row
  for (let i = 0; i < <i32>HEADER_SIZE; i++) frame.push(0);
  frame.append(b.ptr, b.n);
  store<u32>(frame.ptr, <u32>HEADER_SIZE, 28);
  const r = new Row().of(frame.ptr, 0);
  if (pick) {
    r.pick(999);
    r.logprob(-1.5);
  }
  fields(r, frame.ptr, out);
  return true;
}

/** What a row of this header has: offsets as the ABI says. */
function header(b: Bytes, out: Bytes): bool {
  if (b.n !== <i32>HEADER_SIZE) return false;
  const r = new Row().of(b.ptr, 0);
  out.append(b.ptr, 12); // magic, sizes, rows
  put32(out, r.vocab);
  out.append(b.ptr + 16, 12); // step, flags
  put32(out, <u64>(r.ptr - b.ptr));
  put32(out, <u64>(r.logits - b.ptr));
  put32(out, <u64>(new Row().of(b.ptr, 1).logits - r.logits));
  put32(out, <u64>(r.mask - b.ptr));
  put32(out, <u64>(new Row().of(b.ptr, 1).mask - r.mask));
  put32(out, <u64>(r.candidates - b.ptr));
  put32(out, <u64>(new Row().of(b.ptr, 1).candidates - r.candidates) / 8);
  out.append(b.ptr + 56, 8); // history
  return true;
}

function candidates(b: Bytes, out: Bytes): bool {
  const frame = new Bytes(); // a header that says where they are, a row of as many
  for (let i = 0; i < <i32>(HEADER_SIZE + ROW_SIZE); i++) frame.push(0);
  frame.append(b.ptr, b.n);
  store<u32>(frame.ptr, <u32>HEADER_SIZE, 28);
  store<u32>(frame.ptr, <u32>(HEADER_SIZE + ROW_SIZE), 48);
  store<i32>(frame.ptr, b.n / 8, 52);
  store<i32>(frame.ptr + HEADER_SIZE, b.n / 8, 24);
  const r = new Row().of(frame.ptr, 0);
  for (let k = 0; k < r.candidatesN; k++) {
    put32(out, r.candidateID(k));
    put32(out, reinterpret<u32>(r.candidateLogit(k)));
  }
  return true;
}

function big(out: Bytes, v: u64): bool {
  out.big(v, 8);
  return true;
}

function again(name: Slice, b: Bytes, out: Bytes): bool {
  if (name.is("configure") || name.is("configure_empty")) return configure(b, out);
  if (name.is("seq_open")) return seqOpen(b, out);
  if (name.is("frame_header_dense_slots_1_2_of_3")) return header(b, out);
  if (name.is("row_in")) return row(b, false, out);
  if (name.is("row_picked")) return row(b, true, out);
  if (name.is("candidates")) return candidates(b, out);
  if (name.is("version_word")) return big(out, ((MINOR + 3) << 48) | Feature.HOST_OPS | Feature.REPLAY);
  if (name.is("packed")) return big(out, <u64>pack(0x10000, 608000));
  if (name.is("verdict_pass_17")) return big(out, <u64>pass(17));
  if (name.is("verdict_replace_17")) return big(out, <u64>replace(17));
  const r = Reader.of(b.slice()); // manifests, and any value
  value(r, out, 40);
  return r.done;
}

class Golden extends Filter {
  open(m: Message): Seq | null {
    return new Seq();
  }

  filter(seq: Seq, text: Slice, flags: u32): i64 {
    if ((flags & Flag.END) === 0) return hold();
    let space = 0;
    while (space < text.n && text.at(space) !== 0x20) space++;
    const b = fromHex(text.slice(min(space + 1, text.n), text.n));
    const out = new Bytes();
    if (b === null || !again(text.slice(0, space), b, out)) return fail(Code.EINVAL, "not what the name says");
    for (let i = 0; i < out.n; i++) {
      const x = <i32>out.at(i);
      this.out.push(<u8>"0123456789abcdef".charCodeAt(x >> 4));
      this.out.push(<u8>"0123456789abcdef".charCodeAt(x & 15));
    }
    return replace(text.n);
  }
}

serveFilter(new Golden());
