//! bytes: a tokenizer whose ids are the bytes, and some more for control tokens.
//!
//! Ids 0 to 255 stand for the bytes; 256 and the following for the control tokens, in
//! the order of the configuration:
//!     special   [text, ...]   at most 32 of 1 to 32 bytes each, all different;
//!                             ["<|begin|>", "<|end|>"] if it is left out
//! Where several control tokens match, the longest wins.
#![cfg_attr(target_arch = "wasm32", no_std)]

sandwarp_plugin::no_std!();

use alloc::vec;
use alloc::vec::Vec;
use sandwarp_plugin::abi::code::ERANGE;
use sandwarp_plugin::{Configure, Error, Manifest, Reader, Result, Tokenizer};

const MANIFEST: Manifest = Manifest::tokenizer("sandwarp/bytes")
    .version("1.0.0")
    .description("Bytes as tokens, and control tokens")
    .fuel(2_000_000)
    .fuel_per_byte(12_000)
    .configure_fuel(1_000_000)
    .vocab(288);

const MOST: usize = 32; // control tokens, and bytes of one

struct Bytes {
    special: Vec<Vec<u8>>,
}

/// Reads {"special": [text, ...]}.
fn read(config: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut r = Reader::new(config);
    let mut list = Vec::new();
    let no_map = |_| Error::new("the configuration is not a map");
    for _ in 0..r.map().map_err(no_map)? {
        let key = r.text().map_err(no_map)?;
        if key != b"special" {
            return Err(Error::new("unknown key ").bytes(key).text("; known is special"));
        }
        let wrong = |_| Error::new("special: want an array of texts");
        for _ in 0..r.array().map_err(wrong)? {
            let text = r.text().map_err(wrong)?;
            if list.len() == MOST || text.is_empty() || text.len() > MOST {
                return Err(Error::new("special: at most 32 texts of 1 to 32 bytes each"));
            }
            if list.iter().any(|t: &Vec<u8>| t == text) {
                return Err(Error::new("special: ").bytes(text).text(" appears twice"));
            }
            list.push(text.to_vec());
        }
    }
    Ok(list)
}

impl Bytes {
    /// The longest control token that text begins with.
    fn control(&self, text: &[u8]) -> Option<usize> {
        let mut best = None;
        let mut longest = 0;
        for (i, s) in self.special.iter().enumerate() {
            if s.len() > longest && text.starts_with(s) {
                best = Some(i);
                longest = s.len();
            }
        }
        best
    }
}

impl Tokenizer for Bytes {
    fn new(m: &Configure) -> Result<Self> {
        let special = match m.config {
            Some(config) => read(config)?,
            None => vec![b"<|begin|>".to_vec(), b"<|end|>".to_vec()],
        };
        Ok(Bytes { special })
    }

    fn encode(&mut self, text: &[u8], special: bool, ids: &mut Vec<i32>) -> Result<()> {
        if !special {
            ids.extend(text.iter().map(|&b| b as i32));
            return Ok(());
        }
        let mut i = 0;
        while i < text.len() {
            match self.control(&text[i..]) {
                Some(k) => {
                    ids.push(256 + k as i32);
                    i += self.special[k].len();
                }
                None => {
                    ids.push(text[i] as i32);
                    i += 1;
                }
            }
        }
        Ok(())
    }

    fn decode(&mut self, ids: &[i32], special: bool, text: &mut Vec<u8>) -> Result<()> {
        for &id in ids {
            let control = usize::try_from(id).unwrap_or(usize::MAX).wrapping_sub(256);
            if (0..256).contains(&id) {
                text.push(id as u8);
            } else if id < 0 || control >= self.special.len() {
                let known = 256 + self.special.len() as i64;
                return Err(Error::of(ERANGE, "token ").number(id as i64).text(": the vocabulary has ").number(known));
            } else if special {
                text.extend_from_slice(&self.special[control]);
            }
        }
        Ok(())
    }
}

sandwarp_plugin::tokenizer!(Bytes, MANIFEST);
