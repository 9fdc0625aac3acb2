use crate::abi;
use crate::error::Result;
use crate::message::{Configure, SeqOpen};
use alloc::vec::Vec;

/// Judges text before it is shown.
pub trait Filter: Sized {
    /// What is known of a sequence.
    type Seq;

    /// Makes the plugin, once, with its configuration.
    fn new(m: &Configure) -> Result<Self>;

    /// Begins a sequence; an error refuses the request.
    fn open(&mut self, m: &SeqOpen) -> Result<Self::Seq>;

    /// Judges text, which is all of the sequence that is not yet judged. What is
    /// released in place of it for [`Verdict::Replace`] and [`Verdict::Stop`] is
    /// written to out, which is empty, and must be UTF-8. The outcome must not
    /// depend on how the text was cut.
    fn filter(&mut self, seq: &mut Self::Seq, text: &[u8], flags: Flags, out: &mut Vec<u8>) -> Result<Verdict>;

    /// Ends a sequence.
    fn close(&mut self, _seq: Self::Seq) {}
}

/// A filter that copies a sequence's state itself; without it the host copies the
/// whole instance. Name it in the macro: `filter!(My, MANIFEST, fork)`.
pub trait FilterFork: Filter {
    /// A sequence in the state of seq, independent from then on.
    fn fork(&mut self, seq: &Self::Seq) -> Result<Self::Seq>;
}

/// What the host says about a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags(pub u32);

impl Flags {
    /// The text is the user's prompt, not the answer.
    pub fn prompt(self) -> bool {
        self.0 & abi::FLAG_PROMPT != 0
    }

    /// Nothing follows: all of the text must be judged.
    pub fn end(self) -> bool {
        self.0 & abi::FLAG_END != 0
    }

    /// The text was judged before a fault: only rebuild the state. The verdict is
    /// ignored. Only filters whose manifest has the feature "replay" see it.
    pub fn replay(self) -> bool {
        self.0 & abi::FLAG_REPLAY != 0
    }
}

/// A filter's answer, for the first n bytes of the text; the rest comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They are released as they are.
    Pass(usize),
    /// Nothing is released until more comes.
    Hold,
    /// What was written to out is released instead.
    Replace(usize),
    /// As Replace; then the answer ends.
    Stop(usize),
}

impl Verdict {
    /// The result of `sw_filter`.
    pub fn word(self) -> i64 {
        let (action, n) = match self {
            Verdict::Pass(n) => (0, n),
            Verdict::Hold => (1, 0),
            Verdict::Replace(n) => (2, n),
            Verdict::Stop(n) => (3, n),
        };
        action << 56 | n as i64
    }
}
