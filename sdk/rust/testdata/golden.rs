//! golden: the ABI's byte vectors, read and written again.
//!
//! A filter for tests. It takes a text "NAME HEX", reads the bytes as what the name
//! says, and answers with the hex of what it writes of that: the same, if reader and
//! writer are right.
#![cfg_attr(target_arch = "wasm32", no_std)]

sandwarp_plugin::no_std!();

use alloc::vec;
use alloc::vec::Vec;
use sandwarp_plugin::abi::{choice, Header, RawRow, HEADER_SIZE, ROW_SIZE};
use sandwarp_plugin::{write, Candidate, Configure, Error, Filter, Flags, Manifest, Mode, Reader, Result, Row, SeqOpen, Type, Verdict};

const MANIFEST: Manifest = Manifest::filter("test/golden").version("1").description("Reads and writes golden vectors").fuel(5_000_000).hold_max(65536);

/// The manifest of abi/abi_test.go.
const SAMPLER: Manifest = Manifest::sampler("acme/bias", Mode::Candidates)
    .version("1.2.3")
    .description("biases tokens")
    .capabilities(&["vocab"])
    .optional_capabilities(&["log", "kv"])
    .features(&["host-ops"])
    .optional_features(&["replay", "later"])
    .fuel(1_000_000)
    .fuel_per_byte(300)
    .configure_fuel(70_000_000_000)
    .memory(1024)
    .history(64)
    .candidates(256);

fn digit(c: u8) -> Result<u8> {
    match c {
        b'0'..=b'9' => Ok(c - b'0'),
        b'a'..=b'f' => Ok(c - b'a' + 10),
        _ => Err(Error::new("not hex")),
    }
}

fn bytes(hex: &[u8]) -> Result<Vec<u8>> {
    hex.chunks(2).map(|p| Ok(digit(p[0])? << 4 | digit(*p.get(1).unwrap_or(&b'?'))?)).collect()
}

/// Copies one value, at most depth deep, through reader and writer.
fn value(r: &mut Reader, out: &mut Vec<u8>, depth: usize) -> Result<()> {
    if depth == 0 {
        return Err(Error::new("too deep"));
    }
    match r.peek() {
        Type::None => return Err(Error::new("not a value")),
        Type::Nil => {
            r.nil();
            write::nil(out);
        }
        Type::Bool => write::bool(out, r.bool()?),
        Type::Int => match r.int() {
            Ok(v) => write::int(out, v),
            Err(_) => write::uint(out, r.uint(u64::MAX)?),
        },
        Type::Float => write::float(out, r.float()?),
        Type::Text => write::text(out, r.text()?),
        Type::Bytes => write::bytes(out, r.text()?),
        Type::Array => {
            let n = r.array()?;
            write::array(out, n);
            for _ in 0..n {
                value(r, out, depth - 1)?;
            }
        }
        Type::Map => {
            let n = r.map()?;
            write::map(out, n);
            for _ in 0..2 * n {
                value(r, out, depth - 1)?;
            }
        }
    }
    Ok(())
}

fn config(out: &mut Vec<u8>, config: Option<&[u8]>) -> Result<()> {
    write::text(out, b"config");
    match config {
        None => write::nil(out),
        Some(c) => value(&mut Reader::new(c), out, 8)?,
    }
    Ok(())
}

fn configure(b: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let m = Configure::parse(b)?;
    write::map(out, 4);
    config(out, m.config)?;
    write::text(out, b"seed");
    write::uint(out, m.seed);
    write::text(out, b"vocab");
    write::uint(out, m.vocab as u64);
    write::text(out, b"host");
    write::text(out, m.host);
    Ok(())
}

fn seq_open(b: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let m = SeqOpen::parse(0, b)?;
    write::map(out, 2);
    config(out, m.config)?;
    write::text(out, b"seed");
    write::uint(out, m.seed);
    Ok(())
}

/// An aligned copy of b, in words.
fn words(b: &[u8]) -> Vec<u64> {
    b.chunks(8).map(|c| c.iter().rev().fold(0, |w, &x| w << 8 | x as u64)).collect()
}

fn put(out: &mut Vec<u8>, fields: &[(u64, usize)]) {
    for &(v, n) in fields {
        out.extend_from_slice(&v.to_le_bytes()[..n]);
    }
}

fn header(b: &[u8], out: &mut Vec<u8>) -> Result<()> {
    if b.len() != HEADER_SIZE {
        return Err(Error::new("not a header"));
    }
    let w = words(b);
    let h = unsafe { &*(w.as_ptr() as *const Header) };
    put(out, &[(h.magic as u64, 4), (h.header_size as u64, 2), (h.version as u64, 2), (h.rows as u64, 4), (h.vocab as u64, 4), (h.step, 8)]);
    for v in [h.flags, h.row_off, h.logits_off, h.row_stride, h.mask_off, h.mask_stride, h.cand_off, h.cand_cap, h.hist_off, h.hist_cap] {
        put(out, &[(v as u64, 4)]);
    }
    Ok(())
}

fn fields(r: &RawRow, out: &mut Vec<u8>) {
    put(out, &[(r.seq, 8), (r.parent as u32 as u64, 4), (r.pos as u64, 4), (r.hist_off as u64, 4), (r.hist_n as u64, 4), (r.cand_n as u64, 4)]);
    put(out, &[(r.flags as u64, 4), (r.seed, 8), (r.temp.to_bits() as u64, 4), (r.top_p.to_bits() as u64, 4), (r.top_k as u64, 4)]);
    put(out, &[(r.min_p.to_bits() as u64, 4), (r.action as u64, 4), (r.token as u32 as u64, 4), (r.logprob.to_bits() as u64, 4)]);
    put(out, &[(r.out_off as u64, 4), (r.out_n as u64, 4)]);
    for v in r.reserved {
        put(out, &[(v as u64, 4)]);
    }
}

/// A row as it is, or as it is after picking token 999 with log-probability -1.5.
fn row(b: &[u8], pick: bool, out: &mut Vec<u8>) -> Result<()> {
    if b.len() != ROW_SIZE {
        return Err(Error::new("not a row"));
    }
    // A frame of its own: header, then the row.
    let mut frame = words(&[0; HEADER_SIZE]);
    frame.extend(words(b));
    let at = frame.as_mut_ptr();
    unsafe {
        (*(at as *mut Header)).row_off = HEADER_SIZE as u32;
        if pick {
            let mut row = Row::of(at as *mut u8, 0);
            row.pick(999);
            row.logprob(-1.5);
        }
        let raw = &*(at.add(HEADER_SIZE / 8) as *const RawRow);
        if pick && raw.action != choice::PICK {
            return Err(Error::new("nothing was picked"));
        }
        fields(raw, out);
    }
    Ok(())
}

fn candidates(b: &[u8], out: &mut Vec<u8>) {
    let mut list = vec![Candidate { id: 0, logit: 0.0 }; b.len() / 8];
    for (c, b) in list.iter_mut().zip(b.chunks_exact(8)) {
        c.id = u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        c.logit = f32::from_bits(u32::from_le_bytes([b[4], b[5], b[6], b[7]]));
    }
    let raw = unsafe { core::slice::from_raw_parts(list.as_ptr() as *const u8, 8 * list.len()) };
    out.extend_from_slice(raw);
}

fn again(name: &[u8], b: &[u8], out: &mut Vec<u8>) -> Result<()> {
    match name {
        b"configure" | b"configure_empty" => configure(b, out)?,
        b"seq_open" => seq_open(b, out)?,
        b"frame_header_dense_slots_1_2_of_3" => header(b, out)?,
        b"row_in" => row(b, false, out)?,
        b"row_picked" => row(b, true, out)?,
        b"candidates" => candidates(b, out),
        b"manifest_sampler" => out.extend_from_slice(&SAMPLER.encode::<{ SAMPLER.size() }>()),
        b"manifest_filter" => {
            const SMALL: Manifest = Manifest::filter("f").hold_max(64);
            out.extend_from_slice(&SMALL.encode::<{ SMALL.size() }>());
        }
        b"version_word" => {
            const LATER: Manifest = Manifest::filter("f").features(&["replay", "host-ops"]);
            let word = LATER.version_word() | 3 << 48; // its minor version is 3
            out.extend_from_slice(&word.to_be_bytes());
        }
        b"packed" => out.extend_from_slice(&sandwarp_plugin::abi::pack(0x10000, 608_000).to_be_bytes()),
        b"verdict_pass_17" => out.extend_from_slice(&Verdict::Pass(17).word().to_be_bytes()),
        b"verdict_replace_17" => out.extend_from_slice(&Verdict::Replace(17).word().to_be_bytes()),
        b"value" => value(&mut Reader::new(b), out, 64)?,
        _ => return Err(Error::new("unknown vector ").bytes(name)),
    }
    Ok(())
}

struct Golden;

impl Filter for Golden {
    type Seq = ();

    fn new(_: &Configure) -> Result<Self> {
        Ok(Golden)
    }

    fn open(&mut self, _: &SeqOpen) -> Result<()> {
        Ok(())
    }

    fn filter(&mut self, _: &mut (), text: &[u8], flags: Flags, out: &mut Vec<u8>) -> Result<Verdict> {
        if !flags.end() {
            return Ok(Verdict::Hold);
        }
        let space = text.iter().position(|&c| c == b' ').ok_or_else(|| Error::new("want NAME HEX"))?;
        let mut b = Vec::new();
        again(&text[..space], &bytes(&text[space + 1..])?, &mut b)?;
        for x in b {
            out.push(b"0123456789abcdef"[x as usize >> 4]);
            out.push(b"0123456789abcdef"[x as usize & 15]);
        }
        Ok(Verdict::Replace(text.len()))
    }
}

sandwarp_plugin::filter!(Golden, MANIFEST);
