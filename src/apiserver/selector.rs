//! Label and field selectors: their text, and whether an object matches. Pure.
//! Called by `verbs` for lists, watches and collections.

use super::status::Result;

/// `a=b,c!=d,e in (f,g),h notin (i),j,!k`, and `a>1`, `a<2`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelSelector {}

/// `metadata.name=x,spec.host!=y`: field, whether equal is asked for, value; all must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldSelector {
    /// In the order written.
    pub terms: Vec<(String, bool, String)>,
}

#[expect(
    clippy::unimplemented,
    clippy::unused_self,
    reason = "the joint; its owner fills it"
)]
impl LabelSelector {
    /// Parses; empty selects everything.
    ///
    /// # Errors
    /// 400 with the words of the API server.
    pub fn parse(_text: &str) -> Result<Self> {
        unimplemented!()
    }

    /// Whether it selects everything.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        unimplemented!()
    }

    /// Whether these labels match.
    #[must_use]
    pub fn matches<'a>(&self, _labels: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> bool {
        unimplemented!()
    }
}

#[expect(clippy::unimplemented, reason = "the joint; its owner fills it")]
impl FieldSelector {
    /// Parses `a=b`, `a==b`, `a!=b`, comma separated, `\\`, `\,` and `\=` escaped.
    ///
    /// # Errors
    /// 400 with the words of the API server.
    pub fn parse(_text: &str) -> Result<Self> {
        unimplemented!()
    }
}
