//! Runs of digits.

use crate::view::{Find, View};

/// What is between two groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sep {
    Space,
    Hyphen,
    Dot,
    Slash,
    Touch,
}

pub const GROUPS: usize = 8;
pub const DIGITS: i32 = 19;

/// A group of digits.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    pub from: i32,
    pub to: i32,
    pub sep: Sep,    // before the group
    pub paren: bool, // it stands in parentheses
    pub close: i32,  // its end, the closing parenthesis included
}

impl Group {
    pub fn len(&self) -> i32 {
        self.to - self.from
    }
}

/// Groups of digits with separators between, from start on. One group more than any
/// match can have is there, if the text has it.
pub struct Run {
    pub start: i32,
    pub plus: bool,
    pub n: usize,
    pub group: [Group; GROUPS],
}

/// The separator at i and its length, 0 for none; Err: more text is needed.
fn separator(v: &View, i: i32) -> Result<(Sep, i32), Find> {
    match v.byte(i) {
        b' ' => return Ok((Sep::Space, 1)),
        b'-' => return Ok((Sep::Hyphen, 1)),
        b'.' => return Ok((Sep::Dot, 1)),
        b'/' => return Ok((Sep::Slash, 1)),
        0xc2 | 0xe2 => {}
        _ => return Ok((Sep::Touch, 0)),
    }
    let len = match v.char_at(i) {
        Ok(len) => len,
        Err(true) => return Err(Find::More),
        Err(false) => return Ok((Sep::Touch, 0)),
    };
    let (b, c) = (v.byte(i + 1), if len > 2 { v.byte(i + 2) } else { 0 });
    let space = if len == 2 { b == 0xa0 } else { b == 0x80 && (c == 0x89 || c == 0xaf) }; // U+00A0 2009 202F
    if space {
        return Ok((Sep::Space, len));
    }
    if len == 3 && b == 0x80 && (0x90..=0x93).contains(&c) {
        return Ok((Sep::Hyphen, len)); // U+2010 to 2013
    }
    Ok((Sep::Touch, 0))
}

impl Run {
    /// The run that begins at start. Err: there is none, or more text is needed.
    pub fn read(v: &View, start: i32) -> Result<Run, Find> {
        let empty = Group { from: 0, to: 0, sep: Sep::Touch, paren: false, close: 0 };
        let mut r = Run { start, plus: false, n: 0, group: [empty; GROUPS] };
        r.fill(v)?;
        if r.n > 0 {
            Ok(r)
        } else {
            Err(Find::None)
        }
    }

    fn fill(&mut self, v: &View) -> Result<(), Find> {
        let (mut i, mut total, mut sep) = (self.start, 0, Sep::Touch);
        loop {
            let (at, paren) = self.opening(v, i);
            i = at;
            if i >= v.n {
                return if v.last { Ok(()) } else { Err(Find::More) };
            }
            let apart = sep != Sep::Touch || self.n == 0 || paren || self.group[self.n - 1].paren;
            if !v.is_digit(i) || !apart {
                return Ok(());
            }
            if !self.read_group(v, i, sep, paren)? {
                return Ok(());
            }
            let last = self.group[self.n - 1];
            total += last.len();
            if self.enough(total) {
                return Ok(());
            }
            i = last.close;
            if i >= v.n {
                return if v.last { Ok(()) } else { Err(Find::More) };
            }
            let (between, len) = separator(v, i)?;
            sep = if len > 0 { between } else { Sep::Touch };
            i += len;
        }
    }

    /// Where the digits of the next group must be, past + and parenthesis.
    fn opening(&mut self, v: &View, mut i: i32) -> (i32, bool) {
        let mut paren = i < v.n && v.byte(i) == b'(' && self.n <= 2;
        i += paren as i32;
        if self.n > 0 || i >= v.n || v.byte(i) != b'+' {
            return (i, paren);
        }
        self.plus = true;
        i += 1;
        if !paren && i < v.n && v.byte(i) == b'(' {
            paren = true;
            i += 1;
        }
        (i, paren)
    }

    /// Reads the group of digits at i; false if its parenthesis is not closed.
    fn read_group(&mut self, v: &View, i: i32, sep: Sep, paren: bool) -> Result<bool, Find> {
        let mut end = i;
        while v.is_digit(end) && end - i <= DIGITS {
            end += 1;
        }
        if end >= v.n && !v.last && end - i <= DIGITS {
            return Err(Find::More);
        }
        if paren && (end >= v.n || v.byte(end) != b')') {
            return Ok(false);
        }
        self.group[self.n] = Group { from: i, to: end, sep, paren, close: end + paren as i32 };
        self.n += 1;
        Ok(true)
    }

    /// Whether the run is long enough to judge its first group: nothing has more
    /// groups, or two of one digit each.
    fn enough(&self, total: i32) -> bool {
        let one = |g: &Group| g.len() == 1 && !g.paren;
        let ones = self.n > 1 && one(&self.group[self.n - 1]) && one(&self.group[self.n - 2]) && !self.plus;
        total > DIGITS || self.n == GROUPS || ones
    }

    pub fn groups(&self) -> &[Group] {
        &self.group[..self.n]
    }

    pub fn digits(&self) -> i32 {
        self.groups().iter().map(Group::len).sum()
    }

    /// The group's value, of its first six digits.
    pub fn value(&self, v: &View, k: usize) -> i32 {
        let g = &self.group[k];
        let mut x = 0;
        for i in g.from..g.to.min(g.from + 6) {
            x = x * 10 + (v.byte(i) - b'0') as i32;
        }
        x
    }

    /// The group's i-th digit.
    pub fn digit(&self, v: &View, k: usize, i: i32) -> u8 {
        v.byte(self.group[k].from + i)
    }

    pub fn same_separators(&self, h: usize) -> bool {
        (2..=h).all(|k| self.group[k].sep == self.group[1].sep)
    }

    /// Lengths of groups 0..=h, each in four bits, the first on the left.
    pub fn shape(&self, h: usize) -> u64 {
        self.group[..=h].iter().fold(0, |s, g| s << 4 | g.len().min(15) as u64)
    }
}
