//! redact: a filter that takes e-mail addresses, phone numbers, payment card numbers
//! and US social security numbers out of a text while it is being written.
//!
//! What is redacted depends on the text alone, not on how it is cut into pieces: a
//! decision about a place looks at most CONTEXT bytes back and at most `hold_max`
//! bytes ahead, and is put off until that much is there or the text has ended. Time
//! is linear: each byte is looked at a bounded number of times.
//!
//! Configuration of the plugin, of a request, or both; every key may be left out:
//!     email, phone, card, ssn   text to write instead, at most 64 bytes, or nil to
//!                               leave this kind alone; "[email]", "[phone]", ...
//!     text                      the same for all kinds
//!     prompts                   true: redact prompts too. They pass otherwise
//!
//! The same program exists in C, Go and AssemblyScript, and a test compares what they
//! do: change all four.
#![cfg_attr(target_arch = "wasm32", no_std)]

sandwarp_plugin::no_std!();

mod card;
mod email;
mod phone;
mod run;
mod view;
mod words;

use alloc::vec::Vec;
use run::Run;
use sandwarp_plugin::{char_len, whole, Configure, Error, Filter, FilterFork, Flags, Manifest, Reader, Result, SeqOpen, Verdict};
use view::{Find, Past, View};
use words::Hint;

const MANIFEST: Manifest = Manifest::filter("sandwarp/redact")
    .version("1.0.0")
    .description("Redacts e-mail addresses, phone numbers and payment card numbers")
    .features(&["replay"])
    .fuel(2_000_000)
    .fuel_per_byte(4_000)
    .configure_fuel(1_000_000)
    .hold_max(512);

const KINDS: [&[u8]; 4] = [b"email", b"phone", b"card", b"ssn"];
const EMAIL: usize = 0;
const PHONE: usize = 1;
const CARD: usize = 2;
const SSN: usize = 3;
const LABEL_MAX: usize = 64;

/// What is written instead of each kind, None to leave it alone.
#[derive(Clone)]
struct Settings {
    labels: [Option<Vec<u8>>; 4],
    prompts: bool,
}

fn read_label(r: &mut Reader) -> Result<Option<Vec<u8>>> {
    if r.nil() {
        return Ok(None);
    }
    match r.text() {
        Ok(text) if text.len() <= LABEL_MAX => Ok(Some(text.to_vec())),
        _ => Err(Error::new("configuration: a replacement is nil or text of at most 64 bytes")),
    }
}

impl Settings {
    fn standard() -> Self {
        let label = |text: &[u8]| Some(text.to_vec());
        Settings { labels: [label(b"[email]"), label(b"[phone]"), label(b"[card]"), label(b"[ssn]")], prompts: false }
    }

    /// Reads a map of settings. A request's may have a seed besides.
    fn read(&mut self, config: &[u8], request: bool) -> Result<()> {
        let wrong = |_| Error::new("configuration: want a map");
        let mut r = Reader::new(config);
        for _ in 0..r.map().map_err(wrong)? {
            let key = r.text().map_err(wrong)?;
            if let Some(k) = KINDS.iter().position(|kind| *kind == key) {
                self.labels[k] = read_label(&mut r)?;
                continue;
            }
            match key {
                b"seed" if request => r.skip().map_err(wrong)?,
                b"text" => {
                    let label = read_label(&mut r)?;
                    self.labels = [label.clone(), label.clone(), label.clone(), label];
                }
                b"prompts" => self.prompts = r.bool().map_err(|_| Error::new("configuration: prompts is true or false"))?,
                _ => return Err(Error::new("configuration: unknown key ").bytes(key).text("; known are email, phone, card, ssn, text, prompts")),
            }
        }
        Ok(())
    }
}

/// What is known of a sequence.
#[derive(Clone)]
struct Stream {
    before: Past,
    own: Option<Settings>, // None: standard
}

struct Redact {
    standard: Settings,
}

/// The number at start: its end and kind. It depends on the text around start only,
/// never on what was found before: where a call ends and the next begins must not
/// matter.
fn number_at(v: &View, start: i32) -> (Find, usize) {
    let may = v.allowed_before(start);
    if !may.any() {
        return (Find::None, CARD);
    }
    let r = match Run::read(v, start) {
        Ok(r) if r.digits() >= 7 => r,
        Ok(_) => return (Find::None, CARD),
        Err(f) => return (f, CARD),
    };
    let mut said = Hint::default();
    let end = if may.card { card::end(v, &r, &mut said) } else { Find::None };
    if end != Find::None || !may.phone || (r.n == 1 && !may.plain) || phone::is_not(v, &r) {
        return (end, CARD);
    }
    match phone::ssn(v, &r) {
        Find::None => (phone::end(v, &r, &mut said), PHONE),
        found => (found, SSN),
    }
}

/// What is at a place: where it starts and ends, what is written instead, and where to
/// look next.
struct Place<'a> {
    start: i32,
    find: Find,
    next: i32,
    instead: &'a [u8],
}

/// A character that is not ASCII: it is a find if it is not UTF-8.
fn odd_character<'a>(v: &View, i: i32) -> Place<'a> {
    let (find, next) = match v.char_at(i) {
        Ok(n) => (Find::None, i + n),
        Err(true) => (Find::More, i),
        Err(false) => (Find::End(i + 1), i),
    };
    Place { start: i, find, next, instead: "\u{fffd}".as_bytes() }
}

fn look<'a>(v: &mut View, s: &'a Settings, i: i32) -> Place<'a> {
    if v.byte(i) >= 0x80 {
        return odd_character(v, i);
    }
    let (mut find, kind, start) = if v.byte(i) == b'@' {
        let (find, start) = email::at(v, i);
        (find, EMAIL, start)
    } else {
        let (find, kind) = number_at(v, i);
        (find, kind, i)
    };
    let mut next = i + 1;
    let label = &s.labels[kind];
    if let (Find::End(end), None) = (find, label) {
        next = end; // it stays, in one piece
        v.floor = end;
        find = Find::None;
    }
    while next < v.n && v.byte(next - 1).is_ascii_digit() && v.byte(next).is_ascii_digit() {
        next += 1; // nothing begins inside of a group
    }
    Place { start, find, next, instead: label.as_deref().unwrap_or(b"") }
}

/// Judges the text: writes to out what is released if anything differs. Returns the
/// number of bytes settled, and whether anything differs.
fn judge(v: &mut View, s: &Settings, out: &mut Vec<u8>) -> (usize, bool) {
    let (mut i, mut copied, mut settled, mut changed) = (0, 0, None, false);
    while settled.is_none() {
        i = v.next_place(i);
        if i >= v.n {
            break;
        }
        let p = look(v, s, i);
        i = p.next;
        match p.find {
            Find::None => {}
            Find::More => settled = Some(p.start),
            Find::End(end) => {
                out.extend_from_slice(&v.text[copied as usize..p.start as usize]);
                out.extend_from_slice(p.instead);
                changed = true;
                i = end;
                v.floor = end;
                copied = end;
            }
        }
    }
    let mut settled = settled.unwrap_or(v.n);
    if !v.last {
        // the last word may go on to be an address
        let word = email::local_start(v, whole(v.text, false) as i32);
        settled = settled.min(word);
    }
    if changed {
        out.extend_from_slice(&v.text[copied as usize..settled as usize]);
    }
    (settled as usize, changed)
}

impl Filter for Redact {
    type Seq = Stream;

    fn new(m: &Configure) -> Result<Self> {
        let mut standard = Settings::standard();
        if let Some(config) = m.config {
            standard.read(config, false)?;
        }
        Ok(Redact { standard })
    }

    fn open(&mut self, m: &SeqOpen) -> Result<Stream> {
        let mut own = None;
        if let Some(config) = m.config {
            let mut s = self.standard.clone();
            s.read(config, true)?;
            own = Some(s);
        }
        Ok(Stream { before: Past::default(), own })
    }

    fn filter(&mut self, seq: &mut Stream, text: &[u8], flags: Flags, out: &mut Vec<u8>) -> Result<Verdict> {
        let s = seq.own.as_ref().unwrap_or(&self.standard);
        if flags.prompt() && !s.prompts {
            return Ok(Verdict::Pass(text.len()));
        }
        if flags.replay() {
            seq.before = Past::default();
            seq.before.remember(text);
            return Ok(Verdict::Pass(text.len()));
        }
        if text.len() > i32::MAX as usize / 4 {
            return Err(Error::of(sandwarp_plugin::abi::code::E2BIG, "the text is longer than 512 MiB"));
        }
        let mut v = View { text, n: text.len() as i32, last: flags.end(), floor: 0, before: &seq.before };
        let (settled, changed) = judge(&mut v, s, out);
        seq.before.remember(&text[..settled]);
        if flags.end() {
            seq.before = Past::default();
        }
        if changed {
            return Ok(Verdict::Replace(settled));
        }
        Ok(if settled == 0 && !text.is_empty() { Verdict::Hold } else { Verdict::Pass(settled) })
    }
}

impl FilterFork for Redact {
    fn fork(&mut self, seq: &Stream) -> Result<Stream> {
        Ok(seq.clone())
    }
}

sandwarp_plugin::filter!(Redact, MANIFEST, fork);
