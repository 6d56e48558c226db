//! Owns where a value may be used: [`Scope`], [`Context`], the associated data and the public scope hash.
//! Every text is one u16-length-prefixed field, never a joined string, so that no two places share their bytes.
//! It does not judge names (that is `api`); it only bounds their length. Called by both suites and by `verify`.

use sha2::{Digest, Sha256};

use super::error::Error;
use super::hex;

/// The API group that is bound into every envelope.
pub const GROUP: &str = "supercargo.dev";
/// The kind that is bound into every envelope.
pub const KIND: &str = "DockerSecret";

const MAX_FIELD_BYTES: usize = 253;

/// How far a value may travel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// One key of one object: nothing can be copied anywhere.
    Strict {
        /// The object's namespace.
        namespace: String,
        /// The object's name.
        name: String,
    },
    /// The same item key of any object in one namespace.
    Namespace {
        /// The namespace.
        namespace: String,
    },
    /// The same item key anywhere. Refused unless the ring's policy allows it.
    Cluster,
}

impl Scope {
    /// The letter's meaning without the names.
    #[must_use]
    pub const fn kind(&self) -> ScopeKind {
        match self {
            Self::Strict { .. } => ScopeKind::Strict,
            Self::Namespace { .. } => ScopeKind::Namespace,
            Self::Cluster => ScopeKind::Cluster,
        }
    }
}

/// The three scopes, without names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScopeKind {
    /// `s`
    Strict,
    /// `n`
    Namespace,
    /// `c`
    Cluster,
}

impl ScopeKind {
    /// The letter in the envelope's header.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Strict => 's',
            Self::Namespace => 'n',
            Self::Cluster => 'c',
        }
    }

    /// The word on the command line and in messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Namespace => "namespace",
            Self::Cluster => "cluster",
        }
    }
}

/// The scope as it stands in an envelope: the letter and 16 hex digits of SHA-256 over the scope tuple.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScopeTag {
    kind: ScopeKind,
    hash: [u8; 8],
}

impl ScopeTag {
    /// Reads `s`, `n` or `c` followed by 16 lower-case hex digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (kind, digits) = match text.split_at_checked(1)? {
            ("s", rest) => (ScopeKind::Strict, rest),
            ("n", rest) => (ScopeKind::Namespace, rest),
            ("c", rest) => (ScopeKind::Cluster, rest),
            _ => return None,
        };
        Some(Self {
            kind,
            hash: hex::read(digits)?,
        })
    }

    /// Which of the three scopes.
    #[must_use]
    pub const fn kind(self) -> ScopeKind {
        self.kind
    }
}

impl std::fmt::Display for ScopeTag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.kind.letter())?;
        hex::write(self.hash, f)
    }
}

/// The place a value is sealed for: a scope and the key under `spec.encryptedData`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Context {
    scope: Scope,
    item_key: String,
}

impl Context {
    /// A context for `item_key` in `scope`.
    ///
    /// # Errors
    /// [`Error::BadContext`] when a namespace, name or key is empty or longer than 253 bytes.
    pub fn new(scope: Scope, item_key: &str) -> Result<Self, Error> {
        match &scope {
            Scope::Strict { namespace, name } => {
                check("namespace", namespace)?;
                check("name", name)?;
            }
            Scope::Namespace { namespace } => check("namespace", namespace)?,
            Scope::Cluster => {}
        }
        check("key", item_key)?;
        Ok(Self {
            scope,
            item_key: item_key.to_owned(),
        })
    }

    /// The context that a value of the scope `kind` must have been sealed for, to be used at this place.
    ///
    /// # Errors
    /// [`Error::BadContext`] as [`Context::new`].
    pub fn at(kind: ScopeKind, namespace: &str, name: &str, item_key: &str) -> Result<Self, Error> {
        let scope = match kind {
            ScopeKind::Strict => Scope::Strict {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            },
            ScopeKind::Namespace => Scope::Namespace {
                namespace: namespace.to_owned(),
            },
            ScopeKind::Cluster => Scope::Cluster,
        };
        Self::new(scope, item_key)
    }

    /// The scope.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The key under `spec.encryptedData`.
    #[must_use]
    pub fn item_key(&self) -> &str {
        &self.item_key
    }

    /// The public tag: needs no key, so a manifest can be checked offline.
    #[must_use]
    pub fn tag(&self) -> ScopeTag {
        let digest = Sha256::digest(self.tuple());
        ScopeTag {
            kind: self.scope.kind(),
            hash: hex::first_eight(&digest),
        }
    }

    /// The associated data under a header: the header and the scope tuple, each a u16-length-prefixed field.
    pub(super) fn associated_data(&self, header: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        field(&mut out, header);
        out.extend_from_slice(&self.tuple());
        out
    }

    fn tuple(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        field(&mut out, GROUP);
        field(&mut out, KIND);
        match &self.scope {
            Scope::Strict { namespace, name } => {
                field(&mut out, namespace);
                field(&mut out, name);
            }
            Scope::Namespace { namespace } => field(&mut out, namespace),
            Scope::Cluster => {}
        }
        field(&mut out, &self.item_key);
        out
    }
}

impl std::fmt::Display for Context {
    /// In the words of the manifest, for messages.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.scope {
            Scope::Strict { namespace, name } => write!(f, "{namespace}/{name} key {:?}", self.item_key),
            Scope::Namespace { namespace } => write!(f, "namespace {namespace} key {:?}", self.item_key),
            Scope::Cluster => write!(f, "key {:?} of the whole cluster", self.item_key),
        }
    }
}

fn check(what: &'static str, text: &str) -> Result<(), Error> {
    if text.is_empty() || text.len() > MAX_FIELD_BYTES {
        return Err(Error::BadContext {
            what,
            size: text.len(),
            limit: MAX_FIELD_BYTES,
        });
    }
    Ok(())
}

/// Appends one field. Fields are at most 253 bytes (checked when a context is made), headers 41.
pub(super) fn field(out: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend(text.as_bytes().iter().take(usize::from(length)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strict(namespace: &str, name: &str, key: &str) -> Context {
        Context::at(ScopeKind::Strict, namespace, name, key).unwrap()
    }

    #[test]
    fn moving_a_letter_between_fields_changes_the_tag() {
        assert_ne!(strict("ab", "c", "k").tag(), strict("a", "bc", "k").tag());
        assert_ne!(strict("a", "bc", "k").tag(), strict("a", "b", "ck").tag());
    }

    #[test]
    fn each_scope_ignores_exactly_what_it_does_not_name() {
        let at = |kind, ns, name| Context::at(kind, ns, name, "k").unwrap().tag();
        assert_eq!(
            at(ScopeKind::Namespace, "a", "x"),
            at(ScopeKind::Namespace, "a", "y")
        );
        assert_ne!(
            at(ScopeKind::Namespace, "a", "x"),
            at(ScopeKind::Namespace, "b", "x")
        );
        assert_eq!(at(ScopeKind::Cluster, "a", "x"), at(ScopeKind::Cluster, "b", "y"));
        assert_ne!(at(ScopeKind::Strict, "a", "x"), at(ScopeKind::Strict, "a", "y"));
    }

    #[test]
    fn empty_and_overlong_names_are_refused_by_field() {
        let err = Context::at(ScopeKind::Strict, "a", "", "k").unwrap_err();
        assert_eq!(
            err,
            Error::BadContext {
                what: "name",
                size: 0,
                limit: 253
            }
        );
        let err = Context::at(ScopeKind::Cluster, "", "", &"k".repeat(254)).unwrap_err();
        assert_eq!(
            err,
            Error::BadContext {
                what: "key",
                size: 254,
                limit: 253
            }
        );
    }

    #[test]
    fn a_tag_has_one_spelling() {
        let text = strict("shop", "db", "password").tag().to_string();
        assert_eq!(ScopeTag::parse(&text).unwrap().to_string(), text);
        for bad in [
            "",
            "s",
            "x0123456789abcdef",
            "s0123456789ABCDEF",
            "s0123456789abcde",
            "é0123456789abcdef",
        ] {
            assert!(ScopeTag::parse(bad).is_none(), "{bad}");
        }
    }
}
