//! The audit file as values: one line per record, each with a number, the MAC of the one before it and its own. [`record`]
//! says what is told and how a line is written and read, [`check`] whether lines are one unbroken chain, [`opening`] how a
//! file is gone on with. Pure: bytes come in and go out; the file is `controllers`' to write, and `cli`'s to verify.

pub mod check;
pub mod opening;
pub mod record;
