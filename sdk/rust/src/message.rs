//! Messages are msgpack (<https://github.com/msgpack/msgpack/blob/master/spec.md>).

use crate::abi;
use crate::error::{Error, Result};
use alloc::vec::Vec;

/// What the next value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Nothing is left, or it is not msgpack, or an extension type.
    None,
    Nil,
    Bool,
    Int,
    Float,
    Text,
    Bytes,
    Array,
    Map,
}

/// A bounded reader of msgpack. It copies nothing, and an error leaves it where the
/// value began.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

fn malformed() -> Error {
    Error::new("malformed msgpack, or a value of another type")
}

impl<'a> Reader<'a> {
    /// Reads from b.
    pub fn new(b: &'a [u8]) -> Self {
        Reader { rest: b }
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The type of the next value.
    pub fn peek(&self) -> Type {
        match self.rest.first() {
            None => Type::None,
            Some(c) => match c {
                0x00..=0x7f | 0xe0..=0xff | 0xcc..=0xd3 => Type::Int,
                0x80..=0x8f | 0xde | 0xdf => Type::Map,
                0x90..=0x9f | 0xdc | 0xdd => Type::Array,
                0xa0..=0xbf | 0xd9..=0xdb => Type::Text,
                0xc0 => Type::Nil,
                0xc2 | 0xc3 => Type::Bool,
                0xc4..=0xc6 => Type::Bytes,
                0xca | 0xcb => Type::Float,
                _ => Type::None,
            },
        }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        if n > self.rest.len() {
            return Err(malformed());
        }
        let (head, rest) = self.rest.split_at(n);
        self.rest = rest;
        Ok(head)
    }

    fn big(&mut self, n: usize) -> Result<u64> {
        let mut v = 0;
        for b in self.take(n)? {
            v = v << 8 | *b as u64;
        }
        Ok(v)
    }

    /// The type code of the next value, if it is of the type wanted.
    fn code(&mut self, want: Type) -> Result<u8> {
        if self.peek() != want {
            return Err(malformed());
        }
        Ok(self.take(1)?[0])
    }

    /// Consumes a nil; says whether there was one.
    pub fn nil(&mut self) -> bool {
        self.peek() == Type::Nil && self.take(1).is_ok()
    }

    /// True or false.
    pub fn bool(&mut self) -> Result<bool> {
        Ok(self.code(Type::Bool)? == 0xc3)
    }

    /// An integer that fits 64 signed bits.
    pub fn int(&mut self) -> Result<i64> {
        let mut r = *self;
        let c = r.code(Type::Int)?;
        let v = match c {
            0xcc..=0xcf => {
                let v = r.big(1 << (c - 0xcc))?;
                if v > i64::MAX as u64 {
                    return Err(malformed());
                }
                v as i64
            }
            0xd0..=0xd3 => {
                let n = 1usize << (c - 0xd0);
                let shift = 64 - 8 * n as u32; // stretch the sign over the upper bits
                ((r.big(n)? << shift) as i64) >> shift
            }
            _ => c as i8 as i64,
        };
        *self = r;
        Ok(v)
    }

    /// An integer from 0 to max.
    pub fn uint(&mut self, max: u64) -> Result<u64> {
        let mut r = *self;
        let v = if r.rest.first() == Some(&0xcf) {
            r.take(1)?;
            r.big(8)?
        } else {
            let v = r.int()?;
            if v < 0 {
                return Err(malformed());
            }
            v as u64
        };
        if v > max {
            return Err(malformed());
        }
        *self = r;
        Ok(v)
    }

    /// A float or an integer.
    pub fn float(&mut self) -> Result<f64> {
        if self.peek() != Type::Float {
            return Ok(self.int()? as f64);
        }
        let mut r = *self;
        let v = if r.code(Type::Float)? == 0xcb {
            f64::from_bits(r.big(8)?)
        } else {
            f32::from_bits(r.big(4)? as u32) as f64
        };
        *self = r;
        Ok(v)
    }

    /// Text, or bytes; what is called text need not be UTF-8.
    pub fn text(&mut self) -> Result<&'a [u8]> {
        let mut r = *self;
        let n = if r.peek() == Type::Bytes {
            let c = r.code(Type::Bytes)?;
            r.big(1 << (c - 0xc4))?
        } else {
            match r.code(Type::Text)? {
                c @ 0xd9..=0xdb => r.big(1 << (c - 0xd9))?,
                c => (c & 31) as u64,
            }
        };
        if n > r.rest.len() as u64 {
            return Err(malformed());
        }
        let b = r.take(n as usize)?;
        *self = r;
        Ok(b)
    }

    fn count(&mut self, want: Type, wide: u8, each: u64) -> Result<usize> {
        let mut r = *self;
        let n = match r.code(want)? {
            c @ 0x80..=0x9f => (c & 15) as u64,
            c => r.big(2 << (c - wide))?,
        };
        if n * each > r.rest.len() as u64 {
            return Err(malformed()); // each value takes a byte at least
        }
        *self = r;
        Ok(n as usize)
    }

    /// The number of values that follow.
    pub fn array(&mut self) -> Result<usize> {
        self.count(Type::Array, 0xdc, 1)
    }

    /// The number of pairs that follow.
    pub fn map(&mut self) -> Result<usize> {
        self.count(Type::Map, 0xde, 2)
    }

    /// Reads over a scalar, or the head of an array or map: the values inside.
    fn skip_one(&mut self) -> Result<usize> {
        match self.peek() {
            Type::Array => self.array(),
            Type::Map => Ok(2 * self.map()?),
            Type::Text | Type::Bytes => self.text().map(|_| 0),
            Type::Int if self.rest[0] == 0xcf => self.uint(u64::MAX).map(|_| 0),
            Type::Int => self.int().map(|_| 0),
            Type::Float => self.float().map(|_| 0),
            Type::Nil | Type::Bool => self.take(1).map(|_| 0),
            Type::None => Err(malformed()),
        }
    }

    /// Reads over one whole value, at most 32 deep, and returns its bytes.
    pub fn raw(&mut self) -> Result<&'a [u8]> {
        let start = self.rest;
        let mut todo = [0usize; abi::MAX_DEPTH + 1]; // values to come at each depth
        let mut depth = 0;
        todo[0] = 1;
        loop {
            while depth > 0 && todo[depth] == 0 {
                depth -= 1;
            }
            if todo[depth] == 0 {
                return Ok(&start[..start.len() - self.rest.len()]);
            }
            todo[depth] -= 1;
            let inside = self.skip_one()?;
            if inside == 0 {
                continue;
            }
            if depth == abi::MAX_DEPTH {
                return Err(malformed());
            }
            depth += 1;
            todo[depth] = inside;
        }
    }

    /// Reads over one whole value.
    pub fn skip(&mut self) -> Result<()> {
        self.raw().map(|_| ())
    }
}

/// What the host says at the start, once.
#[derive(Debug, Clone, Default)]
pub struct Configure<'a> {
    /// One msgpack value of the plugin's own.
    pub config: Option<&'a [u8]>,
    /// Seed of everything random that no request seeds.
    pub seed: u64,
    /// Number of the model's tokens, 0 if not known.
    pub vocab: u32,
    /// Name and version of the host.
    pub host: &'a [u8],
}

/// What the host says of a new sequence.
#[derive(Debug, Clone, Default)]
pub struct SeqOpen<'a> {
    /// The sequence's number.
    pub seq: u64,
    /// One msgpack value, the request's own configuration.
    pub config: Option<&'a [u8]>,
    /// The request's seed, or the host's choice.
    pub seed: u64,
}

/// Calls field for each key of the map that is all of b; it must read the value.
fn fields<'a>(b: &'a [u8], mut field: impl FnMut(&[u8], &mut Reader<'a>) -> Result<()>) -> Result<()> {
    let mut r = Reader::new(b);
    for _ in 0..r.map()? {
        let key = r.text()?;
        field(key, &mut r)?;
    }
    if r.is_empty() {
        Ok(())
    } else {
        Err(malformed())
    }
}

fn optional<'a>(r: &mut Reader<'a>) -> Result<Option<&'a [u8]>> {
    if r.nil() {
        return Ok(None);
    }
    r.raw().map(Some)
}

impl<'a> Configure<'a> {
    /// Reads the message of `sw_configure`; unknown keys are skipped.
    pub fn parse(b: &'a [u8]) -> Result<Self> {
        let mut m = Configure::default();
        fields(b, |key, r| {
            match key {
                b"config" => m.config = optional(r)?,
                b"seed" => m.seed = r.uint(u64::MAX)?,
                b"vocab" => m.vocab = r.uint(abi::MAX_VOCAB as u64)? as u32,
                b"host" => m.host = r.text()?,
                _ => r.skip()?,
            }
            Ok(())
        })
        .map_err(|_| Error::new("the host's message is malformed"))?;
        Ok(m)
    }
}

impl<'a> SeqOpen<'a> {
    /// Reads the message of `sw_seq_open`; unknown keys are skipped.
    pub fn parse(seq: u64, b: &'a [u8]) -> Result<Self> {
        let mut m = SeqOpen { seq, ..SeqOpen::default() };
        fields(b, |key, r| {
            match key {
                b"config" => m.config = optional(r)?,
                b"seed" => m.seed = r.uint(u64::MAX)?,
                _ => r.skip()?,
            }
            Ok(())
        })
        .map_err(|_| Error::new("the host's message is malformed"))?;
        Ok(m)
    }
}

/// Writers of msgpack: each appends one value in its shortest form.
pub mod write {
    use super::Vec;

    /// Nil.
    pub fn nil(b: &mut Vec<u8>) {
        b.push(0xc0);
    }

    /// True or false.
    pub fn bool(b: &mut Vec<u8>, v: bool) {
        b.push(0xc2 + v as u8);
    }

    /// An integer.
    pub fn uint(b: &mut Vec<u8>, v: u64) {
        let be = v.to_be_bytes();
        let (code, n) = match v {
            0..=0x7f => return b.push(v as u8),
            0x80..=0xff => (0xcc, 1),
            0x100..=0xffff => (0xcd, 2),
            0x1_0000..=0xffff_ffff => (0xce, 4),
            _ => (0xcf, 8),
        };
        b.push(code);
        b.extend_from_slice(&be[8 - n..]);
    }

    /// An integer that may be negative.
    pub fn int(b: &mut Vec<u8>, v: i64) {
        let be = v.to_be_bytes();
        let (code, n) = match v {
            0..=i64::MAX => return uint(b, v as u64),
            -32..=-1 => return b.push(v as u8),
            -0x80..=-33 => (0xd0, 1),
            -0x8000..=-0x81 => (0xd1, 2),
            -0x8000_0000..=-0x8001 => (0xd2, 4),
            _ => (0xd3, 8),
        };
        b.push(code);
        b.extend_from_slice(&be[8 - n..]);
    }

    /// A 64-bit float.
    pub fn float(b: &mut Vec<u8>, v: f64) {
        b.push(0xcb);
        b.extend_from_slice(&v.to_bits().to_be_bytes());
    }

    /// A type code of the right width and a length; code8 0: there is no 8-bit form.
    fn len(b: &mut Vec<u8>, n: usize, code8: u8, code16: u8) {
        let be = (n as u32).to_be_bytes();
        if n < 1 << 8 && code8 != 0 {
            b.push(code8);
            b.push(n as u8);
        } else if n < 1 << 16 {
            b.push(code16);
            b.extend_from_slice(&be[2..]);
        } else {
            b.push(code16 + 1);
            b.extend_from_slice(&be);
        }
    }

    /// Text.
    pub fn text(b: &mut Vec<u8>, s: &[u8]) {
        if s.len() < 32 {
            b.push(0xa0 | s.len() as u8);
        } else {
            len(b, s.len(), 0xd9, 0xda);
        }
        b.extend_from_slice(s);
    }

    /// Bytes.
    pub fn bytes(b: &mut Vec<u8>, v: &[u8]) {
        len(b, v.len(), 0xc4, 0xc5);
        b.extend_from_slice(v);
    }

    /// The head of an array of n values, which must follow.
    pub fn array(b: &mut Vec<u8>, n: usize) {
        if n < 16 {
            b.push(0x90 | n as u8);
        } else {
            len(b, n, 0, 0xdc);
        }
    }

    /// The head of a map of n pairs, which must follow.
    pub fn map(b: &mut Vec<u8>, n: usize) {
        if n < 16 {
            b.push(0x80 | n as u8);
        } else {
            len(b, n, 0, 0xde);
        }
    }
}
