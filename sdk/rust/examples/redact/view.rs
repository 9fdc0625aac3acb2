//! The text of a call, and its characters.

use crate::char_len;

/// What comes of looking at a place: nothing, an end, or "wait for more text".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Find {
    None,
    More,
    End(i32),
}

pub const CONTEXT: usize = 48;

/// The last bytes that were judged, for a decision may look back at them.
#[derive(Clone)]
pub struct Past {
    n: usize,
    text: [u8; CONTEXT],
}

impl Default for Past {
    fn default() -> Self {
        Past { n: 0, text: [0; CONTEXT] }
    }
}

impl Past {
    /// Keeps the last bytes of what is settled.
    pub fn remember(&mut self, p: &[u8]) {
        if p.len() >= CONTEXT {
            self.text.copy_from_slice(&p[p.len() - CONTEXT..]);
            self.n = CONTEXT;
            return;
        }
        let keep = self.n.min(CONTEXT - p.len());
        self.text.copy_within(self.n - keep..self.n, 0);
        self.text[keep..keep + p.len()].copy_from_slice(p);
        self.n = keep + p.len();
    }
}

/// The text of a call, what came before it, and how far it is settled.
pub struct View<'a> {
    pub text: &'a [u8],
    pub n: i32,
    pub last: bool, // nothing follows
    pub floor: i32, // matches begin here or later
    pub before: &'a Past,
}

/// What the character before a number allows: a card number, a phone number, one of
/// digits without separators.
#[derive(Clone, Copy)]
pub struct May {
    pub card: bool,
    pub phone: bool,
    pub plain: bool,
}

impl May {
    const ALL: May = May { card: true, phone: true, plain: true };
    const NONE: May = May { card: false, phone: false, plain: false };
    const CARD: May = May { card: true, phone: false, plain: false };
    const BUT_PLAIN: May = May { card: true, phone: true, plain: false };

    pub fn any(self) -> bool {
        self.card || self.phone || self.plain
    }

    fn all_if(yes: bool) -> May {
        if yes {
            May::ALL
        } else {
            May::NONE
        }
    }
}

pub fn is_word(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c == b'_'
}

/// Punctuation inside of local parts.
pub fn is_mark(c: u8) -> bool {
    matches!(c, b'.' | b'-' | b'+' | b'%' | b'\'' | b'~')
}

/// Whether two bytes are a letter that addresses may hold: U+00C0 to U+07FF, that is
/// Latin, Greek, Cyrillic, Hebrew and Arabic, less the signs for times and divided.
pub fn is_letter2(a: u8, b: u8) -> bool {
    (0xc3..=0xdf).contains(&a) && b & 0xc0 == 0x80 && !(a == 0xc3 && (b == 0x97 || b == 0xb7))
}

impl View<'_> {
    /// The byte at i, which must be in the text.
    pub fn byte(&self, i: i32) -> u8 {
        self.text[i as usize]
    }

    /// The byte at i >= -CONTEXT; 0 before the text's start.
    pub fn at(&self, i: i32) -> u8 {
        if i >= 0 {
            return self.byte(i);
        }
        let i = i + self.before.n as i32;
        if i >= 0 {
            self.before.text[i as usize]
        } else {
            0
        }
    }

    pub fn is_digit(&self, i: i32) -> bool {
        i < self.n && self.byte(i).is_ascii_digit()
    }

    /// Length of the character at i; nothing more comes if the text is at its end.
    pub fn char_at(&self, i: i32) -> Result<i32, bool> {
        match char_len(&self.text[i as usize..]) {
            Ok(n) => Ok(n as i32),
            Err(more) => Err(more && !self.last),
        }
    }

    /// None at the end of the whole text, More where the call's text ends.
    pub fn over(&self, at_end: Find) -> Find {
        if self.last {
            at_end
        } else {
            Find::More
        }
    }

    /// The next place from i on where something may begin: @ + ( digits, not ASCII.
    pub fn next_place(&self, i: i32) -> i32 {
        let rest = &self.text[i as usize..];
        let place = |&c: &u8| c >= 0x80 || c.is_ascii_digit() || c == b'@' || c == b'+' || c == b'(';
        rest.iter().position(place).map_or(self.n, |k| i + k as i32)
    }

    pub fn allowed_before(&self, i: i32) -> May {
        let (a, b) = (self.at(i - 1), self.at(i - 2));
        if a >= 0x80 {
            let c = self.at(i - 3);
            let money = (b == 0xc2 && (a == 0xa3 || a == 0xa5)) || (c == 0xe2 && b == 0x82);
            return May::all_if(!(is_letter2(b, a) || money));
        }
        if is_word(a) {
            return May::NONE;
        }
        match a {
            b'.' | b':' => May::all_if(!b.is_ascii_digit()),
            b',' if b.is_ascii_digit() => May::BUT_PLAIN,
            b'-' | b'+' => May::all_if(!is_word(b)),
            b'(' if is_word(b) => May::CARD,
            b'$' => May::NONE,
            b'/' | b'\\' | b'#' | b'`' if is_word(b) => May::NONE,
            b'/' | b'\\' | b'#' | b'`' => May::CARD,
            _ => May::ALL,
        }
    }

    /// Whether a number may end at i: then that is the end. A plain one is not
    /// followed by decimals.
    pub fn allowed_after(&self, i: i32, plain: bool) -> Find {
        let (yes, no) = (Find::End(i), Find::None);
        if i >= self.n {
            return self.over(yes);
        }
        let c = self.byte(i);
        if is_word(c) || c == b'@' || c == b'%' {
            return no;
        }
        if (c == b',' && plain) || c == b':' || c == b'.' {
            if i + 1 >= self.n {
                return self.over(yes);
            }
            return if self.is_digit(i + 1) { no } else { yes };
        }
        if c < 0x80 {
            return yes;
        }
        let len = match self.char_at(i) {
            Err(true) => return Find::More,
            Err(false) => 0,
            Ok(len) => len,
        };
        let second = if len > 1 { self.byte(i + 1) } else { 0 };
        if len == 2 && (is_letter2(c, second) || (c == 0xc2 && second != 0xa0 && second != 0xbb)) {
            return no; // a letter, a unit, money
        }
        if len == 3 && c == 0xe2 && second == 0x82 {
            no
        } else {
            yes
        }
    }
}
