//! Phone numbers, and social security numbers.

use alloc::vec::Vec;
use crate::run::{Run, Sep, GROUPS};
use crate::view::{Find, View};
use crate::words::{place_after, Hint};

fn is_year(x: i32) -> bool {
    (1800..=2100).contains(&x)
}

/// Whether groups 0 to 3 are an IP address.
fn is_address(v: &View, r: &Run) -> bool {
    let g = r.groups();
    if g[1].sep != Sep::Dot || !r.same_separators(3) || (r.n > 4 && g[4].sep == Sep::Dot) {
        return false;
    }
    (0..4).all(|k| g[k].len() <= 3 && r.value(v, k) <= 255)
}

/// Whether the run begins with a date, an IP address or a span of years.
pub fn is_not(v: &View, r: &Run) -> bool {
    if r.plus || r.n < 2 {
        return false;
    }
    let g = r.groups();
    let (a, b) = (r.value(v, 0), r.value(v, 1));
    let c = if r.n > 2 { r.value(v, 2) } else { 0 };
    if g[0].len() == 4 && g[1].len() == 4 && is_year(a) && is_year(b) {
        return true;
    }
    if r.n < 3 || g[1].sep != g[2].sep || g[1].sep == Sep::Space || g[1].sep == Sep::Touch || g[1].len() > 2 {
        return r.n > 3 && is_address(v, r);
    }
    if g[0].len() == 4 && g[2].len() <= 2 {
        return is_year(a) && b <= 12 && c <= 31;
    }
    if g[2].len() == 4 && g[0].len() <= 2 {
        return is_year(c) && a <= 31 && b <= 31;
    }
    r.n > 3 && is_address(v, r)
}

/// Whether all groups from..=h have at least two digits and at most max.
fn sizes(r: &Run, from: usize, h: usize, max: i32) -> bool {
    (from..=h).all(|k| r.group[k].len() >= 2 && r.group[k].len() <= max)
}

/// Whether groups 0..=h with n digits are an international number after + or 00
/// (ITU-T E.164: at most 15 digits).
fn international(v: &View, r: &Run, h: usize, n: i32) -> bool {
    let g = r.groups();
    let d = |i| r.digit(v, 0, i);
    if r.plus {
        if d(0) == b'0' || !(8..=15).contains(&n) || (h > 0 && g[h].len() < 2) {
            return false;
        }
        return d(0) != b'1' || n == 11;
    }
    if d(0) != b'0' || g[0].len() < 2 || d(1) != b'0' || h == 0 || !(10..=17).contains(&n) || g[h].len() < 2 {
        return false;
    }
    if g[0].len() > 2 {
        return d(2) != b'0' && g[0].len() <= 5;
    }
    g[1].len() <= 3 && r.digit(v, 1, 0) != b'0' && h < 6 && !sizes(r, 0, h, 2)
}

/// North America: area code, exchange, line, with or without 1 in front. Points do not
/// mix with hyphens.
fn north_american(v: &View, r: &Run, h: usize) -> bool {
    let area = match r.shape(h) {
        0x334 => 0,
        0x1334 if r.digit(v, 0, 0) == b'1' => 1,
        _ => return false,
    };
    r.digit(v, area, 0) >= b'2' && (r.group[h].sep == Sep::Dot) == (r.group[h - 1].sep == Sep::Dot)
}

/// Area code in parentheses, or with the trunk prefix 0.
fn national(v: &View, r: &Run, h: usize, n: i32) -> bool {
    let g = r.groups();
    let trunk = r.digit(v, 0, 0) == b'0' && g[0].len() >= 2 && r.digit(v, 0, 1) != b'0';
    if !sizes(r, 0, h, if h == 0 { 11 } else { 8 }) || (h > 0 && g[h].paren) {
        return false;
    }
    if h == 0 {
        let from = g[0].from as usize;
        return trunk && (n == 10 || n == 11) && &v.text[from..from + 10] != b"0123456789";
    }
    if g[0].paren {
        let years = h == 2 && is_year(r.value(v, 1)) && is_year(r.value(v, 2));
        return (8..=12).contains(&n) && g[0].len() <= (if trunk { 5 } else { 3 }) && (trunk || h >= 2) && !years;
    }
    let slash = (2..=h).any(|k| g[k].sep == Sep::Slash);
    !slash && trunk && (9..=11).contains(&n) && h <= 4 && r.shape(h) != 0x54
}

/// Whether groups 0..=h stand in a row of numbers, with nothing but spaces between.
fn in_row(v: &View, r: &Run, h: usize) -> bool {
    let g = r.groups();
    if (1..=h).any(|k| g[k].sep != Sep::Space) {
        return false;
    }
    let more = h + 1 < r.n && g[h + 1].sep == Sep::Space;
    !g[0].paren && (more || (v.at(r.start - 1) == b' ' && v.at(r.start - 2).is_ascii_digit()))
}

/// Whether groups 0..=h are a plain number with thousands apart.
fn thousands(r: &Run, h: usize) -> bool {
    let g = r.groups();
    (1..=h).all(|k| g[k].len() == 3 && g[k].sep == g[1].sep && g[k].sep != Sep::Hyphen) && g[0].len() <= 3
}

/// What of a shape is said: yes, no, or wait.
#[derive(PartialEq)]
enum Is {
    No,
    Yes,
    Wait,
}

fn is(yes: bool) -> Is {
    if yes {
        Is::Yes
    } else {
        Is::No
    }
}

/// What only a word beside it makes a phone number.
fn with_word(v: &View, r: &Run, h: usize, n: i32, said: &mut Hint) -> Is {
    if n > 15 || n < (if h == 0 { 8 } else { 7 }) || h > 5 || !sizes(r, 1, h, 8) {
        return Is::No;
    }
    let phone = said.phone(v, r.start);
    if phone < 0 || phone == 2 {
        return is(phone > 0);
    }
    if thousands(r, h) {
        return Is::No;
    }
    if phone == 1 && h > 0 {
        return Is::Yes;
    }
    if h + 1 != r.n {
        return Is::No;
    }
    match place_after(v, r.group[h].close) {
        Find::None => Is::No,
        Find::More => Is::Wait,
        Find::End(_) => Is::Yes,
    }
}

/// The end of an extension (x and up to six digits) after a number that ends at i.
fn extension(v: &View, i: i32) -> Find {
    let mut x = i;
    if x < v.n && v.byte(x) == b' ' {
        x += 1;
    }
    if x < v.n && v.byte(x) != b'x' {
        return Find::End(i);
    }
    let mut end = x + 1;
    while end - x <= 6 && v.is_digit(end) {
        end += 1;
    }
    if end >= v.n && end - x <= 6 && !v.last {
        return Find::More;
    }
    Find::End(if end > x + 1 && x < v.n { end } else { i })
}

/// Whether groups 0..=h are a phone number.
fn shape(v: &View, r: &Run, h: usize, n: i32, said: &mut Hint) -> Is {
    if international(v, r, h, n) {
        return Is::Yes;
    }
    if r.plus {
        return Is::No;
    }
    let g = r.groups();
    let series = h + 1 < r.n && (g[h + 1].sep != Sep::Space || g[h + 1].len() == g[h].len());
    if series {
        return Is::No;
    }
    if (north_american(v, r, h) || national(v, r, h, n)) && !in_row(v, r, h) {
        return is(said.phone(v, r.start) >= 0);
    }
    with_word(v, r, h, n, said)
}

/// Where the phone number the run begins with ends.
pub fn end(v: &View, r: &Run, said: &mut Hint) -> Find {
    let g = r.groups();
    let (mut n, mut total) = (0, Vec::with_capacity(GROUPS)); // digits up to each group's end
    for (k, group) in g.iter().enumerate().take(GROUPS - 1) {
        n += group.len();
        if n > 17 || (k > 0 && group.len() > 8) || (k > 2 && group.len() == 1) {
            break;
        }
        total.push(n);
    }
    for h in (0..total.len()).rev() {
        if total[h] < 7 {
            break;
        }
        match shape(v, r, h, total[h], said) {
            Is::No => continue,
            Is::Wait => return Find::More,
            Is::Yes => {}
        }
        let end = match extension(v, g[h].close) {
            Find::End(end) => end,
            other => return other,
        };
        let inside = h + 1 < r.n && end == g[h].close;
        let found = if inside { Find::End(end) } else { v.allowed_after(end, h == 0 || thousands(r, h)) };
        if found != Find::None {
            return found;
        }
    }
    Find::None
}

/// A US social security number, written with hyphens.
pub fn ssn(v: &View, r: &Run) -> Find {
    let g = r.groups();
    if r.plus || g[0].paren || r.n < 3 || r.shape(2) != 0x324 || g[1].sep != Sep::Hyphen || g[2].sep != Sep::Hyphen {
        return Find::None;
    }
    let area = r.value(v, 0);
    if area == 0 || area == 666 || r.value(v, 1) == 0 || r.value(v, 2) == 0 {
        return Find::None;
    }
    if r.n == 3 {
        return v.allowed_after(g[2].to, false);
    }
    if g[3].sep == Sep::Space {
        Find::End(g[2].to)
    } else {
        Find::None
    }
}
