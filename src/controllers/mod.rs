//! Shells: watch, the seven steps, publish.
