//! E-mail addresses.

use crate::view::{is_letter2, is_mark, is_word, Find, View};

const LOCAL_MAX: i32 = 64;
const DOMAIN_MAX: i32 = 253;

/// Where the local part before end begins: the last LOCAL_MAX bytes of letters, digits
/// and marks, whole characters, not beginning with a mark.
pub fn local_start(v: &View, end: i32) -> i32 {
    let mut i = end;
    while i > v.floor && end - i < LOCAL_MAX {
        let c = v.byte(i - 1);
        if is_word(c) || is_mark(c) {
            i -= 1;
        } else if i - 1 > v.floor && end - i + 2 <= LOCAL_MAX && is_letter2(v.byte(i - 2), c) {
            i -= 2;
        } else {
            break;
        }
    }
    while i < end && is_mark(v.byte(i)) {
        i += 1;
    }
    i
}

/// The end of the domain that begins at from. It has two labels or more, and the last
/// is not a number: two letters at least.
fn domain_end(v: &View, from: i32) -> Find {
    let (mut good, mut i, mut label, mut letters) = (Find::None, from, from, 0);
    loop {
        let over = i - from >= DOMAIN_MAX;
        if i >= v.n && !v.last && !over {
            return Find::More;
        }
        let c = if over || i >= v.n { 0 } else { v.byte(i) };
        if c.is_ascii_alphanumeric() {
            letters += !c.is_ascii_digit() as i32;
            i += 1;
            continue;
        }
        if (0xc3..=0xdf).contains(&c) {
            if i + 1 >= v.n && !v.last {
                return Find::More;
            }
            if i + 1 < v.n && is_letter2(c, v.byte(i + 1)) {
                letters += 2;
                i += 2;
                continue;
            }
        }
        if c == b'-' && i > label {
            i += 1;
            continue;
        }
        let mut end = i;
        while end > label && v.byte(end - 1) == b'-' {
            end -= 1;
        }
        if label > from && letters >= 2 {
            good = Find::End(end);
        }
        if c != b'.' || i == label {
            return good;
        }
        i += 1;
        label = i;
        letters = 0;
    }
}

/// The address whose @ is at i, and where it starts.
pub fn at(v: &View, i: i32) -> (Find, i32) {
    let start = local_start(v, i);
    if start == i {
        return (Find::None, start);
    }
    (domain_end(v, i + 1), start)
}
