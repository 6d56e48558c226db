//! Nouns of the machine.
