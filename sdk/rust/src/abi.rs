//! The numbers and layouts of the ABI, version 1.

/// Error codes: negated errno values.
pub mod code {
    /// Not allowed.
    pub const EPERM: i32 = -1;
    /// No such key, sequence or entry.
    pub const ENOENT: i32 = -2;
    /// Failed for a reason of its own.
    pub const EIO: i32 = -5;
    /// Input larger than declared limits.
    pub const E2BIG: i32 = -7;
    /// Out of memory.
    pub const ENOMEM: i32 = -12;
    /// Pointer and length outside memory.
    pub const EFAULT: i32 = -14;
    /// Re-entered.
    pub const EBUSY: i32 = -16;
    /// Malformed argument or configuration.
    pub const EINVAL: i32 = -22;
    /// Store or buffer full.
    pub const ENOSPC: i32 = -28;
    /// Number outside its range.
    pub const ERANGE: i32 = -34;
    /// Not offered, or not granted.
    pub const ENOSYS: i32 = -38;
    /// Out of fuel.
    pub const ETIME: i32 = -62;
    /// Result larger than allowed.
    pub const EMSGSIZE: i32 = -90;
}

/// The minor version this crate was written for.
pub const MINOR: u16 = 0;
/// "SWF1", the first word of a frame.
pub const FRAME_MAGIC: u32 = 0x3146_5753;
/// Of the frame's layout.
pub const FRAME_VERSION: u16 = 1;
/// Bytes of a frame's header.
pub const HEADER_SIZE: usize = 64;
/// Bytes of a row.
pub const ROW_SIZE: usize = 128;
/// The most tokens a model can have.
pub const MAX_VOCAB: u32 = 1 << 22;
/// Of arrays and maps in a message.
pub const MAX_DEPTH: usize = 32;

/// Feature bits by their names in the manifest.
pub const FEATURES: [&str; 3] = ["host-ops", "vocab", "replay"];

/// Flags of `sw_filter`.
pub const FLAG_PROMPT: u32 = 1;
/// Nothing follows.
pub const FLAG_END: u32 = 2;
/// Judged before; only rebuild the state.
pub const FLAG_REPLAY: u32 = 4;
/// Flag of `sw_encode` and `sw_decode`: control tokens in text form.
pub const FLAG_SPECIAL: u32 = 1;

/// What a sampler did with a row.
pub mod choice {
    /// Nothing changed.
    pub const NONE: u32 = 0;
    /// The row's token is the next one.
    pub const PICK: u32 = 1;
    /// Dense: logits edited; candidates: only the list remains.
    pub const EDIT: u32 = 2;
    /// Tokens without a bit are excluded; then as BIAS.
    pub const MASK: u32 = 3;
    /// The list is edited, other tokens stay.
    pub const KEEP: u32 = 4;
    /// The list is added to the logits; -inf excludes.
    pub const BIAS: u32 = 5;
}

/// The first 64 bytes of the window. Offsets count from the window's start; 0 means
/// that there is none.
#[repr(C)]
pub struct Header {
    pub magic: u32,
    pub header_size: u16,
    pub version: u16,
    pub rows: u32,
    pub vocab: u32,
    pub step: u64,
    pub flags: u32,
    pub row_off: u32,
    pub logits_off: u32,
    pub row_stride: u32,
    pub mask_off: u32,
    pub mask_stride: u32,
    pub cand_off: u32,
    pub cand_cap: u32,
    pub hist_off: u32,
    pub hist_cap: u32,
}

/// One sequence of a call: what the host says, then what the plugin answers.
#[repr(C)]
pub struct RawRow {
    pub seq: u64,
    pub parent: i32,
    pub pos: u32,
    pub hist_off: u32,
    pub hist_n: u32,
    pub cand_n: u32,
    pub flags: u32,
    pub seed: u64,
    pub temp: f32,
    pub top_p: f32,
    pub top_k: u32,
    pub min_p: f32,
    pub action: u32,
    pub token: i32,
    pub logprob: f32,
    pub out_off: u32,
    pub out_n: u32,
    pub reserved: [u32; 13],
}

const _: () = assert!(core::mem::size_of::<Header>() == HEADER_SIZE);
const _: () = assert!(core::mem::size_of::<RawRow>() == ROW_SIZE);
const _: () = assert!(core::mem::size_of::<crate::Candidate>() == 8);

/// Joins address and length into a result.
pub fn pack(ptr: usize, n: usize) -> i64 {
    ((ptr as u64) << 32 | n as u64) as i64
}
