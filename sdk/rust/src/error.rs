use crate::abi::code;
use alloc::vec::Vec;

/// A result whose error the host understands.
pub type Result<T> = core::result::Result<T, Error>;

/// What went wrong: a code for the host, and words for the user.
///
/// `Error::new("token ").number(7).text(" is not allowed")` builds the words
/// without `core::fmt`, which would make a small plugin twice as large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    code: i32,
    words: Vec<u8>,
}

impl Error {
    /// A malformed argument or configuration (EINVAL).
    pub fn new(words: &str) -> Self {
        Error::of(code::EINVAL, words)
    }

    /// An error of any code (see [`code`]).
    pub fn of(code: i32, words: &str) -> Self {
        Error { code, words: words.as_bytes().to_vec() }
    }

    /// Adds words.
    pub fn text(self, more: &str) -> Self {
        self.bytes(more.as_bytes())
    }

    /// Adds bytes that are probably text; what is not, the host shows as '?'.
    pub fn bytes(mut self, more: &[u8]) -> Self {
        self.words.extend_from_slice(more);
        self
    }

    /// Adds a number.
    pub fn number(mut self, n: i64) -> Self {
        let mut digits = [0u8; 20];
        let mut i = digits.len();
        let mut u = n.unsigned_abs();
        loop {
            i -= 1;
            digits[i] = b'0' + (u % 10) as u8;
            u /= 10;
            if u == 0 {
                break;
            }
        }
        if n < 0 {
            self.words.push(b'-');
        }
        self.bytes(&digits[i..])
    }

    /// The code, a negative number.
    pub fn code(&self) -> i32 {
        if self.code < 0 {
            self.code
        } else {
            code::EIO
        }
    }

    /// The words.
    pub fn words(&self) -> &[u8] {
        &self.words
    }
}

/// A host function's result: negative ones are errors.
pub(crate) fn check(result: i32) -> Result<i32> {
    if result < 0 {
        Err(Error::of(result, "a function of the host failed"))
    } else {
        Ok(result)
    }
}
