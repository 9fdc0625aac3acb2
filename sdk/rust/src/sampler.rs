use crate::abi::{choice, Header, RawRow};
use crate::error::Result;
use crate::message::{Configure, SeqOpen};
use core::slice;

/// Chooses the next token, or changes how likely each is.
pub trait Sampler: Sized {
    /// What is known of a sequence.
    type Seq;

    /// Makes the plugin, once, with its configuration.
    fn new(m: &Configure) -> Result<Self>;

    /// Begins a sequence; an error refuses the request.
    fn open(&mut self, m: &SeqOpen) -> Result<Self::Seq>;

    /// Handles one row: it calls one of the row's methods, or none to leave the
    /// choice as it is.
    fn sample(&mut self, seq: &mut Self::Seq, row: &mut Row) -> Result<()>;

    /// Ends a sequence.
    fn close(&mut self, _seq: Self::Seq) {}
}

/// A sampler that is told which tokens were chosen: `sampler!(My, MANIFEST, accept)`.
/// Its state must depend on the tokens, not on how the calls group them.
pub trait Accept: Sampler {
    /// The tokens chosen, in order.
    fn accept(&mut self, seq: &mut Self::Seq, tokens: &[i32]) -> Result<()>;
}

/// A sampler that works while the model computes: `sampler!(My, MANIFEST, plan)`.
pub trait Plan: Sampler {
    /// Handles a row whose logits are not there yet. In mode mask the answer may be
    /// given here; then `sample` is not called. In the others it must not. A plan
    /// may be dropped: `sample` must answer the same without it.
    fn plan(&mut self, seq: &mut Self::Seq, row: &mut Row) -> Result<()>;
}

/// A sampler that takes back accepted tokens: `sampler!(My, MANIFEST, rollback)`.
pub trait Rollback: Sampler {
    /// Forgets the last n accepted tokens, n > 0.
    fn rollback(&mut self, seq: &mut Self::Seq, n: usize) -> Result<()>;
}

/// A sampler that copies a sequence's state itself: `sampler!(My, MANIFEST, fork)`.
/// Without it the host copies the whole instance, or replays the past.
pub trait Fork: Sampler {
    /// A sequence in the state of seq, independent from then on.
    fn fork(&mut self, seq: &Self::Seq) -> Result<Self::Seq>;
}

/// A token and its logit; in a list of biases, what to add to it.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    pub id: u32,
    pub logit: f32,
}

/// One sequence for which a token is to be chosen. It lies in the frame, which the
/// host shares, and is valid during the call only.
pub struct Row<'a> {
    window: *mut u8,
    header: &'a Header,
    row: &'a mut RawRow,
    i: u32,
}

impl<'a> Row<'a> {
    /// The i-th row of a frame.
    ///
    /// # Safety
    /// window must be a frame as the ABI lays it out, of more than i rows, and
    /// nothing else may use it while the row lives.
    pub unsafe fn of(window: *mut u8, i: u32) -> Self {
        let header = &*(window as *const Header);
        let row = &mut *(window.add(header.row_off as usize + crate::abi::ROW_SIZE * i as usize) as *mut RawRow);
        Row { window, header, row, i }
    }

    unsafe fn part<T>(&self, off: usize, n: usize) -> &'a mut [T] {
        slice::from_raw_parts_mut(self.window.add(off) as *mut T, n)
    }

    /// The sequence's number.
    pub fn seq(&self) -> u64 {
        self.row.seq
    }
    /// The row a draft branched from.
    pub fn parent(&self) -> Option<usize> {
        usize::try_from(self.row.parent).ok()
    }
    /// Tokens before the one to choose.
    pub fn pos(&self) -> usize {
        self.row.pos as usize
    }
    /// Seed of this choice.
    pub fn seed(&self) -> u64 {
        self.row.seed
    }
    /// Number of the model's tokens.
    pub fn vocab(&self) -> usize {
        self.header.vocab as usize
    }
    /// The request's temperature; 0: not said. So with the three that follow.
    pub fn temperature(&self) -> f32 {
        self.row.temp
    }
    pub fn top_p(&self) -> f32 {
        self.row.top_p
    }
    pub fn top_k(&self) -> u32 {
        self.row.top_k
    }
    pub fn min_p(&self) -> f32 {
        self.row.min_p
    }

    /// The last tokens, oldest first, as many as the manifest asks for.
    pub fn history(&self) -> &[i32] {
        unsafe { self.part(self.row.hist_off as usize, self.row.hist_n as usize) }
    }

    /// Mode candidates: the most likely tokens, best first.
    pub fn candidates(&mut self) -> &mut [Candidate] {
        let n = self.row.cand_n as usize;
        &mut self.room()[..n]
    }

    /// All room for candidates; in mode dense it is for `host::top_k`.
    pub fn room(&mut self) -> &mut [Candidate] {
        let cap = self.header.cand_cap as usize;
        if self.header.cand_off == 0 {
            return &mut [];
        }
        unsafe { self.part(self.header.cand_off as usize + 8 * cap * self.i as usize, cap) }
    }

    /// Mode dense: all logits, to edit in place. Empty while planning.
    pub fn logits(&mut self) -> &mut [f32] {
        if self.header.logits_off == 0 {
            return &mut [];
        }
        unsafe { self.part(self.header.logits_off as usize + (self.header.row_stride * self.i) as usize, self.vocab()) }
    }

    /// Modes mask and dense: a bit for each allowed token, none at first. Write to
    /// it only if `use_mask` follows.
    pub fn mask(&mut self) -> &mut [u32] {
        if self.header.mask_off == 0 {
            return &mut [];
        }
        unsafe { self.part(self.header.mask_off as usize + (self.header.mask_stride * self.i) as usize, (self.vocab() + 31) / 32) }
    }

    /// Chooses the token.
    pub fn pick(&mut self, token: u32) {
        self.row.action = choice::PICK;
        self.row.token = token as i32;
    }

    /// Takes over the edited logits.
    pub fn use_logits(&mut self) {
        self.row.action = choice::EDIT;
    }

    /// Leaves only the first n of the edited candidates.
    pub fn use_candidates(&mut self, n: usize) {
        self.row.cand_n = n as u32;
        self.row.action = choice::EDIT;
    }

    /// Takes over the first n of the edited candidates; other tokens stay.
    pub fn keep_candidates(&mut self, n: usize) {
        self.row.cand_n = n as u32;
        self.row.action = choice::KEEP;
    }

    /// Excludes the tokens not in the mask, then applies a list of biases, which may
    /// be empty.
    pub fn use_mask(&mut self, list: &[Candidate]) {
        self.list(list);
        self.row.action = choice::MASK;
    }

    /// Adds to the logits of the tokens listed; -inf excludes one. The list must
    /// stay in place until the next call: it belongs into the plugin or the
    /// sequence's state.
    pub fn use_biases(&mut self, list: &[Candidate]) {
        self.list(list);
        self.row.action = choice::BIAS;
    }

    fn list(&mut self, list: &[Candidate]) {
        if !list.is_empty() {
            self.row.out_off = list.as_ptr() as usize as u32;
            self.row.out_n = list.len() as u32;
        }
    }

    /// Reports the log-probability of the pick.
    pub fn logprob(&mut self, v: f32) {
        self.row.logprob = v;
    }
}
