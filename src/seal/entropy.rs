//! Owns how the room gets random bytes: the trait [`Entropy`] and the kernel's generator behind it.
//! A source may fail, and sealing then fails before anything is written; nothing here falls back to a weaker source.
//! Called by the suites and the ring; tests bring a source of their own.

use std::convert::Infallible;

use hpke::rand_core::{TryCryptoRng, TryRng};

/// The source of random bytes failed: nothing was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the random source failed")]
pub struct NoEntropy;

/// A source of unpredictable bytes.
pub trait Entropy {
    /// Fills all of `out` with fresh bytes.
    ///
    /// # Errors
    /// [`NoEntropy`] when the source cannot; `out` must not be used then.
    fn fill(&mut self, out: &mut [u8]) -> Result<(), NoEntropy>;
}

/// The kernel's generator (`getrandom(2)`).
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), NoEntropy> {
        getrandom::fill(out).map_err(|_| NoEntropy)
    }
}

/// Lends an [`Entropy`] to hpke, whose generator cannot fail: a failure is remembered and must be asked for
/// with [`Lent::check`] before any output is used.
pub(super) struct Lent<'a> {
    source: &'a mut dyn Entropy,
    outcome: Result<(), NoEntropy>,
}

impl<'a> Lent<'a> {
    pub(super) fn new(source: &'a mut dyn Entropy) -> Self {
        Self {
            source,
            outcome: Ok(()),
        }
    }

    pub(super) fn check(&self) -> Result<(), NoEntropy> {
        self.outcome
    }
}

impl TryRng for Lent<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        if self.outcome.is_ok() {
            self.outcome = self.source.fill(out);
        }
        Ok(())
    }
}

impl TryCryptoRng for Lent<'_> {}
