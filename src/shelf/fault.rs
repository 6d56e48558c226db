//! Why something about a directory went wrong, in words that name paths and what the system said, and never bytes.
//! Made and passed on in this room.

/// What went wrong, from the outermost to what the system said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(String);

impl Fault {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// Says at what something went wrong.
pub(super) trait Context<T> {
    fn context(self, what: &str) -> Result<T, Fault>;
    fn with_context(self, what: impl FnOnce() -> String) -> Result<T, Fault>;
}

impl<T, E: std::fmt::Display> Context<T> for Result<T, E> {
    fn context(self, what: &str) -> Result<T, Fault> {
        self.with_context(|| what.to_owned())
    }

    fn with_context(self, what: impl FnOnce() -> String) -> Result<T, Fault> {
        self.map_err(|why| Fault(format!("{}: {why}", what())))
    }
}
