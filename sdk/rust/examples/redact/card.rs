//! Payment cards.

use alloc::vec::Vec;
use crate::run::{Run, Sep, DIGITS};
use crate::view::{Find, View};
use crate::words::Hint;

/// Whether issuers give out numbers of n digits that begin with d (six digits).
fn issued(d: i32, n: i32) -> bool {
    let (two, three, four) = (d / 10000, d / 1000, d / 100);
    if (40..=49).contains(&two) {
        return n == 13 || n == 16 || n == 19; // Visa
    }
    if n == 16 && ((51..=55).contains(&two) || (2200..=2204).contains(&four) || (2221..=2720).contains(&four)) {
        return true; // Mastercard, Mir
    }
    if n == 15 && (two == 34 || two == 37 || four == 2131 || four == 1800) {
        return true; // American Express, early JCB
    }
    if n == 14 && ((300..=305).contains(&three) || three == 309 || two == 36 || two == 38 || two == 39) {
        return true; // Diners Club
    }
    if n >= 16 && (two == 35 || four == 6011 || (644..=659).contains(&three) || two == 62 || two == 60) {
        return true; // JCB, Discover, UnionPay, RuPay
    }
    two == 50 || (56..=58).contains(&two) || four == 6304 || four == 6759 || (6761..=6763).contains(&four) // Maestro
}

/// The check digit (Luhn, US patent 2,950,048; ISO/IEC 7812-1 annex B).
fn luhn(d: &[u8]) -> bool {
    let mut sum = 0;
    for (i, &x) in d.iter().rev().enumerate() {
        let x = x as i32;
        sum += if i & 1 == 0 {
            x
        } else if x > 4 {
            2 * x - 9
        } else {
            2 * x
        };
    }
    sum % 10 == 0
}

/// Whether groups 0..=h stand as on cards: all together, by fours, or 4-6-4/5.
fn shape(r: &Run, h: usize) -> bool {
    if h == 0 {
        return true;
    }
    let g = r.groups();
    if g[0].len() != 4 || !r.same_separators(h) || g[1].sep == Sep::Slash || g[1].sep == Sep::Touch {
        return false;
    }
    if h == 2 && g[1].len() == 6 && (g[2].len() == 4 || g[2].len() == 5) {
        return true;
    }
    g[1..h].iter().all(|g| g.len() == 4) && g[h].len() <= 4
}

/// Where the card number the run begins with ends.
pub fn end(v: &View, r: &Run, said: &mut Hint) -> Find {
    let g = r.groups();
    if r.plus || g[0].paren || (g[0].len() != 4 && g[0].len() < 12) {
        return Find::None;
    }
    let mut d: Vec<u8> = Vec::with_capacity(DIGITS as usize);
    let mut ends = Vec::with_capacity(g.len()); // digits up to each group's end
    for group in g {
        if d.len() as i32 + group.len() > DIGITS || group.paren {
            break;
        }
        for i in group.from..group.to {
            d.push(v.byte(i) - b'0');
        }
        ends.push(d.len());
    }
    for h in (0..ends.len()).rev() {
        if ends[h] < 12 {
            break;
        }
        let head = d[..6].iter().fold(0, |x, &c| x * 10 + c as i32);
        let goes_on = h + 1 < r.n && g[h + 1].sep != Sep::Space;
        if goes_on || !shape(r, h) || !luhn(&d[..ends[h]]) {
            continue;
        }
        if !issued(head, ends[h] as i32) && !said.card(v, r.start) {
            continue;
        }
        let found = if h + 1 < r.n { Find::End(g[h].to) } else { v.allowed_after(g[h].to, false) };
        if found != Find::None {
            return found;
        }
    }
    Find::None
}
