use crate::abi;

/// What a plugin does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sampler,
    Filter,
    Tokenizer,
}

/// How a sampler sees the logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Not at all: it writes the set of allowed tokens, or a list of biases.
    Mask,
    /// The best of them, best first.
    Candidates,
    /// All of them, to edit in place.
    Dense,
}

/// Says what a plugin is and wants. It is a constant: the macros write it into the
/// module's custom section `sw.manifest`, where the host reads it before any code
/// runs. What is not said is the host's default.
#[derive(Debug, Clone, Copy)]
pub struct Manifest {
    name: &'static str,
    version: &'static str,
    description: &'static str,
    kind: Kind,
    mode: Option<Mode>,
    capabilities: &'static [&'static str],
    optional_capabilities: &'static [&'static str],
    features: &'static [&'static str],
    optional_features: &'static [&'static str],
    fuel: u64,
    fuel_per_byte: u64,
    configure_fuel: u64,
    hold_max: u32,
    memory: u32,
    history: u32,
    candidates: u32,
    vocab: u32,
}

/// Setters: each returns the manifest with one more thing said.
macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)*) => {
        $($(#[$doc])* pub const fn $name(mut self, v: $type) -> Self { self.$name = v; self })*
    };
}

impl Manifest {
    const fn new(name: &'static str, kind: Kind, mode: Option<Mode>) -> Self {
        Manifest {
            name,
            kind,
            mode,
            version: "",
            description: "",
            capabilities: &[],
            optional_capabilities: &[],
            features: &[],
            optional_features: &[],
            fuel: 0,
            fuel_per_byte: 0,
            configure_fuel: 0,
            hold_max: 0,
            memory: 0,
            history: 0,
            candidates: 0,
            vocab: 0,
        }
    }

    /// Of a sampler. The name has 1 to 128 letters, digits or `-_./`.
    pub const fn sampler(name: &'static str, mode: Mode) -> Self {
        Manifest::new(name, Kind::Sampler, Some(mode))
    }

    /// Of a filter.
    pub const fn filter(name: &'static str) -> Self {
        Manifest::new(name, Kind::Filter, None)
    }

    /// Of a tokenizer.
    pub const fn tokenizer(name: &'static str) -> Self {
        Manifest::new(name, Kind::Tokenizer, None)
    }

    setters! {
        /// Free form, at most 64 bytes.
        version: &'static str,
        /// One line for humans, at most 1 KiB.
        description: &'static str,
        /// The plugin is refused unless all are granted: "kv", "vocab".
        capabilities: &'static [&'static str],
        /// Their functions return ENOSYS where not granted.
        optional_capabilities: &'static [&'static str],
        /// Features the plugin cannot do without: "host-ops", "vocab", "replay".
        features: &'static [&'static str],
        /// Features, and imports as "sw1.name", that it can do without.
        optional_features: &'static [&'static str],
        /// Instructions a call may take.
        fuel: u64,
        /// Filters and tokenizers: added for each byte of input.
        fuel_per_byte: u64,
        /// For `new`.
        configure_fuel: u64,
        /// Filters: most bytes held back.
        hold_max: u32,
        /// Most pages of 64 KiB.
        memory: u32,
        /// Samplers: last tokens wanted.
        history: u32,
        /// Samplers in that mode: how many.
        candidates: u32,
        /// Tokenizers: number of ids.
        vocab: u32,
    }

    /// The plugin's kind.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The result of `sw_abi_v1`: minor version and required features.
    pub const fn version_word(&self) -> u64 {
        let mut word = (abi::MINOR as u64) << 48;
        let mut i = 0;
        while i < self.features.len() {
            let mut bit = 0;
            while bit < abi::FEATURES.len() {
                if same(self.features[i], abi::FEATURES[bit]) {
                    word |= 1 << bit;
                }
                bit += 1;
            }
            i += 1;
        }
        word
    }

    /// Bytes of the manifest as msgpack.
    pub const fn size(&self) -> usize {
        self.bytes().n - self.bytes().from
    }

    /// The manifest as msgpack; N is [`Manifest::size`].
    pub const fn encode<const N: usize>(&self) -> [u8; N] {
        let all = self.bytes();
        let mut b = [0; N];
        let mut i = 0;
        while i < N {
            b[i] = all.b[all.from + i];
            i += 1;
        }
        b
    }

    const fn bytes(&self) -> Bytes {
        let mut b = Bytes { b: [0; MOST], from: 3, n: 3 };
        let kind = match self.kind {
            Kind::Sampler => "sampler",
            Kind::Filter => "filter",
            Kind::Tokenizer => "tokenizer",
        };
        let mode = match self.mode {
            None => "",
            Some(Mode::Mask) => "mask",
            Some(Mode::Candidates) => "candidates",
            Some(Mode::Dense) => "dense",
        };
        let mut fields = 0;
        let texts = [("name", self.name), ("version", self.version), ("description", self.description), ("kind", kind), ("mode", mode)];
        let mut i = 0;
        while i < texts.len() {
            if !texts[i].1.is_empty() {
                b = b.text(texts[i].0).text(texts[i].1);
                fields += 1;
            }
            i += 1;
        }
        let lists = [
            ("capabilities", self.capabilities),
            ("optional_capabilities", self.optional_capabilities),
            ("features", self.features),
            ("optional_features", self.optional_features),
        ];
        i = 0;
        while i < lists.len() {
            if !lists[i].1.is_empty() {
                b = b.text(lists[i].0).list(lists[i].1);
                fields += 1;
            }
            i += 1;
        }
        let numbers = [
            ("fuel", self.fuel),
            ("fuel_per_byte", self.fuel_per_byte),
            ("configure_fuel", self.configure_fuel),
            ("hold_max", self.hold_max as u64),
            ("memory", self.memory as u64),
            ("history", self.history as u64),
            ("candidates", self.candidates as u64),
            ("vocab", self.vocab as u64),
        ];
        i = 0;
        while i < numbers.len() {
            if numbers[i].1 != 0 {
                b = b.text(numbers[i].0).uint(numbers[i].1);
                fields += 1;
            }
            i += 1;
        }
        b.head(fields)
    }
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut i = 0;
    while i < a.len() && i < b.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    a.len() == b.len()
}

/// Bytes put together at compile time; the map's head comes last, in front.
struct Bytes {
    b: [u8; MOST],
    from: usize,
    n: usize,
}

/// Room for what the limits of the texts allow.
const MOST: usize = 4096;

impl Bytes {
    const fn byte(mut self, v: u8) -> Self {
        self.b[self.n] = v;
        self.n += 1;
        self
    }

    /// The lowest n bytes of v, the highest first.
    const fn big(mut self, v: u64, n: u32) -> Self {
        let mut i = n;
        while i > 0 {
            i -= 1;
            self = self.byte((v >> (8 * i)) as u8);
        }
        self
    }

    const fn uint(self, v: u64) -> Self {
        if v < 1 << 7 {
            self.byte(v as u8)
        } else if v < 1 << 8 {
            self.byte(0xcc).big(v, 1)
        } else if v < 1 << 16 {
            self.byte(0xcd).big(v, 2)
        } else if v < 1 << 32 {
            self.byte(0xce).big(v, 4)
        } else {
            self.byte(0xcf).big(v, 8)
        }
    }

    const fn text(mut self, s: &str) -> Self {
        let s = s.as_bytes();
        self = if s.len() < 32 {
            self.byte(0xa0 | s.len() as u8)
        } else if s.len() < 256 {
            self.byte(0xd9).big(s.len() as u64, 1)
        } else {
            self.byte(0xda).big(s.len() as u64, 2)
        };
        let mut i = 0;
        while i < s.len() {
            self = self.byte(s[i]);
            i += 1;
        }
        self
    }

    const fn list(mut self, list: &[&str]) -> Self {
        self = if list.len() < 16 { self.byte(0x90 | list.len() as u8) } else { self.byte(0xdc).big(list.len() as u64, 2) };
        let mut i = 0;
        while i < list.len() {
            self = self.text(list[i]);
            i += 1;
        }
        self
    }

    /// Puts the map's head in front, in its shortest form.
    const fn head(mut self, fields: usize) -> Self {
        if fields < 16 {
            self.from = 2;
            self.b[2] = 0x80 | fields as u8;
        } else {
            self.from = 0;
            self.b[0] = 0xde;
            self.b[2] = fields as u8;
        }
        self
    }
}
