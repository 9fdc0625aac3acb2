//! The guest side of sandwarp for Rust: a plugin is a type with a few methods.
//!
//! ```ignore
//! use sandwarp_plugin::*;
//!
//! const MANIFEST: Manifest = Manifest::filter("you/shout")
//!     .version("0.1.0")
//!     .description("Writes answers in capitals")
//!     .fuel(100_000)
//!     .hold_max(4);
//!
//! struct Shout;
//!
//! impl Filter for Shout {
//!     type Seq = ();
//!     fn new(_: &Configure) -> Result<Self> { Ok(Shout) }
//!     fn open(&mut self, _: &SeqOpen) -> Result<()> { Ok(()) }
//!     fn filter(&mut self, _: &mut (), text: &[u8], flags: Flags, out: &mut Vec<u8>) -> Result<Verdict> {
//!         // ...
//!         Ok(Verdict::Pass(text.len()))
//!     }
//! }
//!
//! sandwarp_plugin::filter!(Shout, MANIFEST);
//! ```
//!
//! The crate has no dependency and needs nothing but `core` and `alloc`; it is
//! built by Rust 1.63 and later. It speaks version 1 of the ABI (docs/abi.md of the
//! project); the numbers and layouts are in [`abi`].
//!
//! The host calls from one thread and never re-enters. There are no files, no
//! network and no real time; random numbers are seeded by request and position. A
//! panic is a trap, and a trap counts as a fault of the plugin: return an [`Error`]
//! for what can go wrong. On systems other than wasm32 the same code compiles, and
//! [`host`] does in Rust what the host does, so that plugins can be tested plainly.
#![no_std]

#[doc(hidden)]
pub extern crate alloc;
#[cfg(not(target_arch = "wasm32"))]
extern crate std;

pub mod abi;
mod error;
mod filter;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod heap;
pub mod host;
mod manifest;
mod message;
mod sampler;
#[doc(hidden)]
pub mod serve;
mod text;
mod tokenizer;

pub use error::{Error, Result};
pub use filter::{Filter, FilterFork, Flags, Verdict};
pub use manifest::{Kind, Manifest, Mode};
pub use message::{write, Configure, Reader, SeqOpen, Type};
pub use sampler::{Accept, Candidate, Fork, Plan, Rollback, Row, Sampler};
pub use text::{char_len, clean, whole};
pub use tokenizer::Tokenizer;
