use alloc::vec::Vec;

/// Length of the UTF-8 character the bytes begin with: `Ok` 1 to 4, `Err(false)` if
/// they begin with none, `Err(true)` if more bytes are needed to tell.
pub fn char_len(p: &[u8]) -> core::result::Result<usize, bool> {
    let a = match p.first() {
        None => return Err(true),
        Some(&a) if a < 0x80 => return Ok(1),
        Some(&a) => a,
    };
    let (len, low, high) = match a {
        0xc2..=0xdf => (2, 0x80, 0xbf),
        0xe0 => (3, 0xa0, 0xbf), // no long forms
        0xed => (3, 0x80, 0x9f), // no surrogates
        0xe1..=0xef => (3, 0x80, 0xbf),
        0xf0 => (4, 0x90, 0xbf),
        0xf1..=0xf3 => (4, 0x80, 0xbf),
        0xf4 => (4, 0x80, 0x8f), // no more than U+10FFFF
        _ => return Err(false),
    };
    for i in 1..len {
        let (low, high) = if i == 1 { (low, high) } else { (0x80, 0xbf) };
        match p.get(i) {
            None => return Err(true),
            Some(&b) if b < low || b > high => return Err(false),
            _ => {}
        }
    }
    Ok(len)
}

/// The length of text less a character at its end of which bytes are still to come.
/// At the end of the text that is all of it.
pub fn whole(text: &[u8], end: bool) -> usize {
    let n = text.len();
    if end {
        return n;
    }
    for back in 1..=n.min(3) {
        let tail = &text[n - back..];
        if tail[0] & 0xc0 != 0x80 {
            // the start of the last character
            return if char_len(tail) == Err(true) { n - back } else { n };
        }
    }
    n
}

/// Appends text; in place of bytes that are not UTF-8 it writes '?'. What a filter
/// puts in place of text must be UTF-8.
pub fn clean(out: &mut Vec<u8>, text: &[u8]) {
    let mut i = 0;
    while i < text.len() {
        match char_len(&text[i..]) {
            Ok(n) => {
                out.extend_from_slice(&text[i..i + n]);
                i += n;
            }
            Err(_) => {
                out.push(b'?');
                i += 1;
            }
        }
    }
}
