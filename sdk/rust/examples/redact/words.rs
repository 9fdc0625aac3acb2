//! Words about a number.

use crate::view::{Find, View, CONTEXT};

/// Words by their first letter, each followed by what it says: + a phone number comes,
/// @ one went before, & both, $ a card comes, ! another number comes. A star stands
/// for any ending. "number" says little (#).
fn list(first: u8) -> &'static [u8] {
    match first {
        b'a' => b"answer*+ account! amex$",
        b'c' => b"call+ calls+ called+ calling+ cell& cellphone+ contact+ card$ cards$ credit$ case!",
        b'd' => b"dial+ dialed+ debit$ doi!",
        b'f' => b"fax&",
        b'h' => b"hotline+ helpline+ handy+ home@",
        b'i' => b"id! isbn*! issn! iban! invoice!",
        b'l' => b"landline+ license! licence!",
        b'm' => b"mobile& mobil+ mastercard$ maestro$ model!",
        b'n' => b"number#",
        b'o' => b"office@ order!",
        b'p' => b"phone*& passport! population! part!",
        b'r' => b"reach+ reached+ ring+ reference!",
        b's' => b"sms+ ssn! serial! sku!",
        b't' => b"tel& telephone*+ telef*+ text+ ticket! tracking! timestamp!",
        b'v' => b"voicemail+ visa$ version!",
        b'w' => b"whatsapp+ work@",
        _ => b"",
    }
}

/// What the word that w begins with says, and its length.
fn says(w: &[u8]) -> Option<(u8, usize)> {
    let letter = |b: &[u8], i: usize| b.get(i).map_or(false, u8::is_ascii_alphabetic);
    for t in list(w[0].to_ascii_lowercase()).split(|&c| c == b' ') {
        let mut i = 0;
        while i < w.len() && letter(t, i) && t[i] == w[i].to_ascii_lowercase() {
            i += 1;
        }
        if letter(t, i) || i >= t.len() {
            continue;
        }
        let star = t[i] == b'*';
        let mut end = i;
        while star && letter(w, end) {
            end += 1;
        }
        if !letter(w, end) {
            return Some((t[i + star as usize], end));
        }
    }
    None
}

/// What the sentence before a number says of it; read when first asked for.
#[derive(Default)]
pub struct Hint {
    read: bool,
    phone: i32, // 2 a phone word, 1 "number", -1 a word for other numbers
    card: bool,
}

impl Hint {
    pub fn phone(&mut self, v: &View, start: i32) -> i32 {
        self.look(v, start).phone
    }

    pub fn card(&mut self, v: &View, start: i32) -> bool {
        self.look(v, start).card
    }

    fn look(&mut self, v: &View, start: i32) -> &Self {
        if self.read {
            return self;
        }
        self.read = true;
        let mut w = [0u8; CONTEXT];
        for (i, c) in w.iter_mut().enumerate() {
            *c = v.at(start - CONTEXT as i32 + i as i32);
        }
        let mut told = None; // where the last telling word ends
        for i in 1..CONTEXT {
            if !w[i].is_ascii_alphabetic() {
                let stop = matches!(w[i], b'.' | b'!' | b'?');
                if stop && told != Some(i) && i + 1 < CONTEXT && w[i + 1] == b' ' {
                    self.phone = 0; // another sentence, unless "Tel. "
                    self.card = false;
                }
                continue;
            }
            let said = if w[i - 1].is_ascii_alphabetic() { None } else { says(&w[i..]) };
            let (word, len) = match said {
                None | Some((b'@', _)) => continue,
                Some(s) => s,
            };
            told = Some(i + len);
            if word != b'#' {
                self.phone = if word == b'+' || word == b'&' { 2 } else { -1 };
                self.card = word == b'$';
            } else if self.phone == 0 {
                self.phone = 1;
            }
        }
        self
    }
}

/// Whether a word after the number that ends at i says that it is a phone's.
pub fn place_after(v: &View, mut i: i32) -> Find {
    let from = i;
    while i < v.n && i - from < 2 && matches!(v.byte(i), b' ' | b'-' | b'(') {
        i += 1;
    }
    let word = i;
    while i < v.n && i - word < 8 && v.byte(i).is_ascii_alphabetic() {
        i += 1;
    }
    if i >= v.n && !v.last {
        return Find::More;
    }
    if i == word || i - word == 8 {
        return Find::None;
    }
    match says(&v.text[word as usize..i as usize]) {
        Some((b'&', _)) | Some((b'@', _)) => Find::End(from),
        _ => Find::None,
    }
}
