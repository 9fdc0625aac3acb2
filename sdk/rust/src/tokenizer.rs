use crate::error::Result;
use crate::message::Configure;
use alloc::vec::Vec;

/// Turns text into ids and back. The calls have no state: they may go to any copy
/// of the plugin.
pub trait Tokenizer: Sized {
    /// Makes the plugin, once, with its configuration.
    fn new(m: &Configure) -> Result<Self>;

    /// Appends the ids of text. With special, the texts of control tokens become
    /// their ids; without it they are plain text.
    fn encode(&mut self, text: &[u8], special: bool, ids: &mut Vec<i32>) -> Result<()>;

    /// Appends the bytes of ids; control tokens only with special. An id that does
    /// not exist is an error.
    fn decode(&mut self, ids: &[i32], special: bool, text: &mut Vec<u8>) -> Result<()>;
}
