// The numbers of the ABI, version 1.

/** Error codes: negated errno values. */
export namespace Code {
  export const EPERM: i32 = -1; // not allowed
  export const ENOENT: i32 = -2; // no such key, sequence or entry
  export const EIO: i32 = -5; // failed for a reason of its own
  export const E2BIG: i32 = -7; // input larger than declared limits
  export const ENOMEM: i32 = -12; // out of memory
  export const EFAULT: i32 = -14; // pointer and length outside memory
  export const EBUSY: i32 = -16; // re-entered
  export const EINVAL: i32 = -22; // malformed argument or configuration
  export const ENOSPC: i32 = -28; // store or buffer full
  export const ERANGE: i32 = -34; // number outside its range
  export const ENOSYS: i32 = -38; // not offered, or not granted
  export const ETIME: i32 = -62; // out of fuel
  export const EMSGSIZE: i32 = -90; // result larger than allowed
}

/** Features a plugin cannot do without; a plugin's `features` is their sum. */
export namespace Feature {
  export const HOST_OPS: u64 = 1;
  export const VOCAB: u64 = 2;
  export const REPLAY: u64 = 4; // the host shows judged text again after a reset
}

/** Flags of a filter's text. */
export namespace Flag {
  export const PROMPT: u32 = 1; // the text is the user's prompt
  export const END: u32 = 2; // nothing follows: all of the text must be judged
  export const REPLAY: u32 = 4; // judged before; only rebuild the state
  export const SPECIAL: u32 = 1; // of tokenizers: control tokens in text form
}

/** What a sampler did with a row. */
export namespace Choice {
  export const NONE: u32 = 0;
  export const PICK: u32 = 1;
  export const EDIT: u32 = 2;
  export const MASK: u32 = 3;
  export const KEEP: u32 = 4;
  export const BIAS: u32 = 5;
}

export const MINOR: u64 = 0;
export const FRAME_MAGIC: u32 = 0x31465753; // "SWF1"
export const FRAME_VERSION: u16 = 1;
export const HEADER_SIZE: usize = 64;
export const ROW_SIZE: usize = 128;
export const CANDIDATE_SIZE: usize = 8;
export const MAX_VOCAB: u32 = 1 << 22;
export const MAX_DEPTH: i32 = 32; // of arrays and maps in a message

/** Joins address and length into a result. */
export function pack(ptr: usize, n: i32): i64 {
  return ((<i64>ptr) << 32) | <i64>(<u32>n);
}
