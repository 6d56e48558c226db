//! The one place for accepted differences from a real API server: which step of which case, and why. A step that does
//! not differ, or is not there, fails the run.

/// One accepted difference.
pub struct Deviation {
    /// The name of the case.
    pub case: &'static str,
    /// The step, as a failure shows it: `3 PATCH gadgets/a`.
    pub step: &'static str,
    /// Why it is right so.
    #[expect(dead_code, reason = "it is for people")]
    pub reason: &'static str,
}

/// All of them.
pub const DEVIATIONS: &[Deviation] = &[];
