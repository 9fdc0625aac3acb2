//! norepeat: a sampler that lets no run of n tokens come twice in an answer.
//!
//! It keeps the tokens of each answer. Where the last n-1 of them stood before, among the
//! last 4,096, what followed them there is excluded: the latest 256 such tokens. It needs no
//! logits, so it plans each step while the model computes; it takes tokens back, and copies
//! a sequence, by itself. A step is bounded, however long the answer is.
//!
//! Configuration of the plugin, of a request, or both:
//!     n   2 to 16, default 3
#![cfg_attr(target_arch = "wasm32", no_std)]

sandwarp_plugin::no_std!();

use alloc::vec::Vec;
use sandwarp_plugin::abi::code;
use sandwarp_plugin::{Accept, Candidate, Configure, Error, Fork, Manifest, Mode, Plan, Reader, Result, Rollback, Row, Sampler, SeqOpen};

const MANIFEST: Manifest = Manifest::sampler("sandwarp/norepeat", Mode::Mask)
    .version("1.0.0")
    .description("Lets no run of n tokens come twice in an answer")
    .fuel(20_000_000);

const WINDOW: usize = 4096;
const MOST: usize = 256;

struct NoRepeat {
    n: usize,
}

struct Story {
    tokens: Vec<i32>, // of the answer
    n: usize,
    list: Vec<Candidate>, // the last answer, which must stay in place
}

/// Reads n, and of a request the seed, which is the host's.
fn read(config: &[u8], request: bool, mut n: usize) -> Result<usize> {
    let not_a_map = |_| Error::of(code::EINVAL, "the configuration is not a map");
    let mut r = Reader::new(config);
    for _ in 0..r.map().map_err(not_a_map)? {
        let key = r.text().map_err(not_a_map)?;
        match key {
            b"seed" if request => r.skip().map_err(not_a_map)?,
            b"n" => match r.uint(16) {
                Ok(v) if v >= 2 => n = v as usize,
                _ => return Err(Error::of(code::EINVAL, "n: want 2 to 16")),
            },
            _ => return Err(Error::of(code::EINVAL, "unknown key ").bytes(key).text("; known is n")),
        }
    }
    Ok(n)
}

impl Story {
    /// Lists what would complete a run, the latest first; a token must be left.
    fn exclude(&mut self, vocab: usize) {
        self.list.clear();
        let (run, most) = (self.n - 1, MOST.min(vocab - 1));
        let end = match self.tokens.len().checked_sub(run) {
            Some(end) => end,
            None => return,
        };
        let last = &self.tokens[end..];
        for at in (end.saturating_sub(WINDOW)..end).rev() {
            if self.list.len() == most {
                return;
            }
            let id = self.tokens[at + run] as u32;
            if &self.tokens[at..at + run] == last && (id as usize) < vocab && !self.list.iter().any(|c| c.id == id) {
                self.list.push(Candidate { id, logit: f32::NEG_INFINITY });
            }
        }
    }
}

impl Sampler for NoRepeat {
    type Seq = Story;

    fn new(m: &Configure) -> Result<Self> {
        Ok(NoRepeat { n: m.config.map_or(Ok(3), |c| read(c, false, 3))? })
    }

    fn open(&mut self, m: &SeqOpen) -> Result<Story> {
        let n = m.config.map_or(Ok(self.n), |c| read(c, true, self.n))?;
        Ok(Story { tokens: Vec::new(), n, list: Vec::new() })
    }

    fn sample(&mut self, s: &mut Story, row: &mut Row) -> Result<()> {
        s.exclude(row.vocab());
        if !s.list.is_empty() {
            row.use_biases(&s.list);
        }
        Ok(())
    }
}

impl Accept for NoRepeat {
    fn accept(&mut self, s: &mut Story, tokens: &[i32]) -> Result<()> {
        s.tokens.extend_from_slice(tokens);
        Ok(())
    }
}

impl Plan for NoRepeat {
    fn plan(&mut self, s: &mut Story, row: &mut Row) -> Result<()> {
        self.sample(s, row)
    }
}

impl Rollback for NoRepeat {
    fn rollback(&mut self, s: &mut Story, n: usize) -> Result<()> {
        match s.tokens.len().checked_sub(n) {
            Some(left) => s.tokens.truncate(left),
            None => return Err(Error::of(code::EINVAL, "so many tokens were not accepted")),
        }
        Ok(())
    }
}

impl Fork for NoRepeat {
    fn fork(&mut self, s: &Story) -> Result<Story> {
        Ok(Story { tokens: s.tokens.clone(), n: s.n, list: Vec::new() })
    }
}

sandwarp_plugin::sampler!(NoRepeat, MANIFEST, accept, plan, rollback, fork);
