//! banlist: a sampler that excludes tokens, or makes them more or less likely.
//!
//! It answers in mask mode with a list of biases, so that it needs no logits, and a
//! step costs no more than reading the list. With "allow" it sets a mask besides. Its
//! answers do not depend on the text, so that it plans all of them.
//!
//! Configuration of the plugin, of a request, or both; every key may be left out:
//!     ban     [id, ...]           never these
//!     allow   [id, ...]           only these
//!     bias    {id: number, ...}   added to the logit; ids may be decimal text, for
//!                                 JSON's sake; -Infinity is a ban
//! What both say applies: bans and biases add up, allowed is what both allow. Ids
//! the model does not have are an error if the host names the vocabulary's size at
//! the start, and otherwise without effect.
#![cfg_attr(target_arch = "wasm32", no_std)]

sandwarp_plugin::no_std!();

use alloc::vec::Vec;
use sandwarp_plugin::abi::{code, MAX_VOCAB};
use sandwarp_plugin::{Candidate, Configure, Error, Fork, Manifest, Mode, Plan, Reader, Result, Row, Sampler, SeqOpen, Type};

const MANIFEST: Manifest = Manifest::sampler("sandwarp/banlist", Mode::Mask)
    .version("1.0.0")
    .description("Excludes tokens, or makes them more or less likely")
    .fuel(5_000_000)
    .configure_fuel(1_000_000_000);

/// What applies to a sequence, ready to be handed over.
#[derive(Clone, Default)]
struct Policy {
    list: Vec<Candidate>,    // bans (-inf) and biases
    allow: Option<Vec<u32>>, // a bit for each token; None: all are allowed
    vocab: usize,            // the list holds no id beyond it; 0 if not yet checked
}

struct Banlist {
    standard: Policy,
    vocab: u32, // 0 if not known
}

const MAX_ID: u64 = MAX_VOCAB as u64 - 1;

fn known(vocab: u32, id: u32) -> Result<u32> {
    if vocab == 0 || id < vocab {
        return Ok(id);
    }
    Err(Error::of(code::ERANGE, "token ").number(id as i64).text(": the vocabulary has ").number(vocab as i64))
}

/// A token id as a number, or as decimal text.
fn read_id(r: &mut Reader) -> Option<u32> {
    if r.peek() != Type::Text {
        return r.uint(MAX_ID).ok().map(|id| id as u32);
    }
    let text = r.text().ok()?;
    if text.is_empty() || text.len() > 7 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let id = text.iter().fold(0, |id, &c| id * 10 + (c - b'0') as u32);
    if id < MAX_VOCAB {
        Some(id)
    } else {
        None
    }
}

impl Policy {
    fn read_ban(&mut self, r: &mut Reader, vocab: u32) -> Result<()> {
        let wrong = |_| Error::new("ban: want an array of token ids");
        for _ in 0..r.array().map_err(wrong)? {
            let id = known(vocab, r.uint(MAX_ID).map_err(wrong)? as u32)?;
            self.list.push(Candidate { id, logit: f32::NEG_INFINITY });
        }
        Ok(())
    }

    fn read_bias(&mut self, r: &mut Reader, vocab: u32) -> Result<()> {
        let wrong = || Error::new("bias: want a map of token ids to finite numbers");
        for _ in 0..r.map().map_err(|_| wrong())? {
            let id = read_id(r).ok_or_else(wrong)?;
            let logit = r.float().map_err(|_| wrong())? as f32;
            if logit.is_nan() || logit == f32::INFINITY {
                return Err(wrong());
            }
            self.list.push(Candidate { id: known(vocab, id)?, logit });
        }
        Ok(())
    }

    /// Reads the allowed ids into a mask, less what is not allowed already.
    fn read_allow(&mut self, r: &mut Reader, vocab: u32) -> Result<()> {
        let wrong = || Error::new("allow: want an array of token ids, one at least");
        let n = r.array().map_err(|_| wrong())?;
        let mut mask: Vec<u32> = Vec::new();
        for _ in 0..n {
            let id = known(vocab, r.uint(MAX_ID).map_err(|_| wrong())? as u32)? as usize;
            if id / 32 >= mask.len() {
                mask.resize(id / 32 + 1, 0);
            }
            mask[id / 32] |= 1 << (id % 32);
        }
        if n == 0 {
            return Err(wrong());
        }
        if let Some(before) = &self.allow {
            for (i, word) in mask.iter_mut().enumerate() {
                *word &= before.get(i).copied().unwrap_or(0);
            }
        }
        self.allow = Some(mask);
        Ok(())
    }

    /// Takes banned tokens out of the mask; something must be left.
    fn settle(&mut self) -> Result<()> {
        let mask = match &mut self.allow {
            None => return Ok(()),
            Some(mask) => mask,
        };
        for b in &self.list {
            let at = b.id as usize / 32;
            if b.logit == f32::NEG_INFINITY && at < mask.len() {
                mask[at] &= !(1 << (b.id % 32));
            }
        }
        if mask.iter().all(|&word| word == 0) {
            return Err(Error::new("allow: no token is left"));
        }
        Ok(())
    }

    fn read(&mut self, config: &[u8], vocab: u32, request: bool) -> Result<()> {
        let wrong = |_| Error::new("the configuration is not a map");
        let mut r = Reader::new(config);
        self.vocab = 0;
        for _ in 0..r.map().map_err(wrong)? {
            match r.text().map_err(wrong)? {
                b"ban" => self.read_ban(&mut r, vocab)?,
                b"allow" => self.read_allow(&mut r, vocab)?,
                b"bias" => self.read_bias(&mut r, vocab)?,
                b"seed" if request => r.skip().map_err(wrong)?,
                key => return Err(Error::new("unknown key ").bytes(key).text("; known are ban, allow, bias")),
            }
        }
        self.settle()
    }

    /// Leaves out ids beyond the vocabulary, the first time its size is seen.
    fn fit(&mut self, vocab: usize) {
        if self.vocab != vocab {
            self.list.retain(|b| (b.id as usize) < vocab);
            self.vocab = vocab;
        }
    }
}

impl Sampler for Banlist {
    type Seq = Option<Policy>; // None: the plugin's own

    fn new(m: &Configure) -> Result<Self> {
        let mut standard = Policy::default();
        if let Some(config) = m.config {
            standard.read(config, m.vocab, false)?;
        }
        Ok(Banlist { standard, vocab: m.vocab })
    }

    fn open(&mut self, m: &SeqOpen) -> Result<Self::Seq> {
        let config = match m.config {
            None => return Ok(None),
            Some(config) => config,
        };
        let mut own = self.standard.clone();
        own.read(config, self.vocab, true)?;
        Ok(Some(own))
    }

    fn sample(&mut self, seq: &mut Self::Seq, row: &mut Row) -> Result<()> {
        let vocab = row.vocab();
        let p = seq.as_mut().unwrap_or(&mut self.standard);
        p.fit(vocab);
        if p.list.len() > vocab {
            return Err(Error::of(code::E2BIG, "there are more bans and biases than tokens"));
        }
        match &p.allow {
            Some(allow) => {
                let mask = row.mask();
                let n = mask.len().min(allow.len());
                mask[..n].copy_from_slice(&allow[..n]);
                row.use_mask(&p.list);
            }
            None if !p.list.is_empty() => row.use_biases(&p.list),
            None => {}
        }
        Ok(())
    }
}

impl Plan for Banlist {
    fn plan(&mut self, seq: &mut Self::Seq, row: &mut Row) -> Result<()> {
        self.sample(seq, row)
    }
}

impl Fork for Banlist {
    fn fork(&mut self, seq: &Self::Seq) -> Result<Self::Seq> {
        Ok(seq.clone())
    }
}

sandwarp_plugin::sampler!(Banlist, MANIFEST, plan, fork);
