//! References to plaintext.
