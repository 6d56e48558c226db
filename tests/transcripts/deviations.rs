//! The one place for accepted differences between the transcripts: which command of which script, and why. One that no
//! longer differs fails the run.

/// One accepted difference.
pub struct Deviation {
    /// The name of the script, without its ending.
    pub script: &'static str,
    /// How the command begins.
    pub command: &'static str,
    /// Why the difference is there and may stay.
    #[expect(dead_code, reason = "a reason is for who reads")]
    pub reason: &'static str,
}

/// All of them.
pub const DEVIATIONS: &[Deviation] = &[];

/// Which of them a command is.
pub fn find(script: &str, command: &str) -> Vec<usize> {
    let matches = |known: &Deviation| known.script == script && command.starts_with(known.command);
    (0..DEVIATIONS.len())
        .filter(|number| matches(&DEVIATIONS[*number]))
        .collect()
}
