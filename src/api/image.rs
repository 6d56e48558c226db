//! Image references: registry, repository, tag, digest.
//! Owns the grammar and Docker's defaults (`docker.io`, `library/`); does not ask any registry.
//! Called by `validate.rs`; the parts are used to match credentials and to pull.

use std::fmt;

use super::container::ImagePullPolicy;

/// A parsed image reference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageReference {
    /// Host of the registry with its port, such as `docker.io` or `registry.example.com:5000`.
    pub registry: String,
    /// Repository within the registry, such as `library/nginx`.
    pub repository: String,
    /// Tag, as written.
    pub tag: Option<String>,
    /// Digest, as written, such as `sha256:` and 64 hex digits.
    pub digest: Option<String>,
}

/// What is wrong with an image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Nothing there.
    #[error("the image is empty: write a reference such as nginx:1.29")]
    Empty,
    /// Starts with a URL scheme.
    #[error("{0:?} starts with a scheme: write it without https://")]
    Scheme(String),
    /// Capital letters in the repository.
    #[error("{0:?} has capital letters in its repository: write it in lower case")]
    UpperCase(String),
    /// A bad host or port.
    #[error(
        "{0:?} is not a registry: write a host name, with a port if needed, such as registry.example.com:5000"
    )]
    Registry(String),
    /// A bad repository.
    #[error(
        "{0:?} is not a repository: use lower-case letters, digits and . _ - between them, parts separated by /"
    )]
    Repository(String),
    /// A bad tag.
    #[error("{0:?} is not a tag: use at most 128 letters, digits and _ . - (not first)")]
    Tag(String),
    /// A bad digest.
    #[error("{0:?} is not a digest: write sha256: and 64 hex digits")]
    Digest(String),
}

impl ImageReference {
    /// Parses a reference, filling in `docker.io` and `library/` as Docker does.
    ///
    /// # Errors
    /// Names the part that is wrong and says how to write it.
    pub fn parse(text: &str) -> Result<Self, ImageError> {
        if text.is_empty() {
            return Err(ImageError::Empty);
        }
        if text.contains("://") {
            return Err(ImageError::Scheme(text.to_owned()));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(parse_digest(digest)?)),
            None => (text, None),
        };
        let (registry, remainder) = split_registry(rest)?;
        let (path, tag) = match remainder.split_once(':') {
            Some((path, tag)) => (path, Some(parse_tag(tag)?)),
            None => (remainder, None),
        };
        let repository = parse_repository(&registry, path)?;
        Ok(Self {
            registry,
            repository,
            tag,
            digest,
        })
    }

    /// The policy if none is written: `Always` for the tag `latest` or none at all, else `IfNotPresent`.
    #[must_use]
    pub fn default_pull_policy(&self) -> ImagePullPolicy {
        match (&self.digest, self.tag.as_deref()) {
            (None, None | Some("latest")) => ImagePullPolicy::Always,
            _ => ImagePullPolicy::IfNotPresent,
        }
    }

    /// The tag to pull: as written, else `latest`; `None` when there is a digest, which decides alone.
    #[must_use]
    pub fn tag_to_pull(&self) -> Option<&str> {
        match self.digest {
            Some(_) => None,
            None => Some(self.tag.as_deref().unwrap_or("latest")),
        }
    }
}

/// The canonical form: everything explicit, so that equal images are equal text.
impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        match (&self.digest, &self.tag) {
            (Some(digest), _) => write!(f, "@{digest}"),
            (None, tag) => write!(f, ":{}", tag.as_deref().unwrap_or("latest")),
        }
    }
}

impl std::str::FromStr for ImageReference {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        Self::parse(text)
    }
}

/// The first part is a registry if it looks like a host: a dot, a port, or `localhost`.
fn split_registry(rest: &str) -> Result<(String, &str), ImageError> {
    match rest.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => {
            if !is_host(host) {
                return Err(ImageError::Registry(host.to_owned()));
            }
            let host = if host == "index.docker.io" {
                "docker.io"
            } else {
                host
            };
            Ok((host.to_owned(), path))
        }
        _ => Ok(("docker.io".to_owned(), rest)),
    }
}

fn is_host(host: &str) -> bool {
    let (name, port) = match host.rfind(':').filter(|colon| !host[*colon..].contains(']')) {
        Some(colon) => (&host[..colon], Some(&host[colon + 1..])),
        None => (host, None),
    };
    let port_is_good = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    let name_is_good = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => name.split('.').all(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        }),
    };
    port_is_good && name_is_good
}

fn parse_repository(registry: &str, path: &str) -> Result<String, ImageError> {
    if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(ImageError::UpperCase(path.to_owned()));
    }
    let is_identifier = path.len() == 64 && path.bytes().all(|byte| byte.is_ascii_hexdigit());
    if path.len() > 255 || is_identifier || !path.split('/').all(is_component) {
        return Err(ImageError::Repository(path.to_owned()));
    }
    let official = registry == "docker.io" && !path.contains('/');
    Ok(if official {
        format!("library/{path}")
    } else {
        path.to_owned()
    })
}

/// Letters and digits, joined by one `.`, one or two `_`, or any number of `-`.
fn is_component(component: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    component.starts_with(is_plain)
        && component.ends_with(is_plain)
        && component.split(is_plain).all(|between| {
            matches!(between, "" | "." | "_" | "__") || between.bytes().all(|byte| byte == b'-')
        })
}

fn parse_tag(tag: &str) -> Result<String, ImageError> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_good = tag.starts_with(is_word)
        && tag.len() <= 128
        && tag.chars().all(|c| is_word(c) || c == '.' || c == '-');
    if is_good {
        Ok(tag.to_owned())
    } else {
        Err(ImageError::Tag(tag.to_owned()))
    }
}

fn parse_digest(digest: &str) -> Result<String, ImageError> {
    let length = match digest.split_once(':') {
        Some(("sha256", _)) => 64,
        Some(("sha384", _)) => 96,
        Some(("sha512", _)) => 128,
        _ => return Err(ImageError::Digest(digest.to_owned())),
    };
    let hex = &digest["shaNNN:".len()..];
    let is_good = hex.len() == length && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_good {
        Ok(digest.to_owned())
    } else {
        Err(ImageError::Digest(digest.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> String {
        ImageReference::parse(text).expect(text).to_string()
    }

    #[test]
    fn defaults_are_those_of_docker() {
        for (written, meant) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("team/app:1", "docker.io/team/app:1"),
            ("index.docker.io/nginx", "docker.io/library/nginx:latest"),
            ("localhost/app", "localhost/app:latest"),
            ("localhost:5000/app:v1", "localhost:5000/app:v1"),
            (
                "registry.example.com/a/b_c--d:1.2-x",
                "registry.example.com/a/b_c--d:1.2-x",
            ),
            ("[::1]:5000/app", "[::1]:5000/app:latest"),
            ("10.0.0.1/app", "10.0.0.1/app:latest"),
        ] {
            assert_eq!(canonical(written), meant);
        }
    }

    #[test]
    fn a_digest_decides_alone() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let image = ImageReference::parse(&format!("nginx:1.29@{digest}")).expect("an image");
        assert_eq!(image.to_string(), format!("docker.io/library/nginx@{digest}"));
        assert_eq!(image.tag_to_pull(), None);
        assert_eq!(image.default_pull_policy(), ImagePullPolicy::IfNotPresent);
    }

    #[test]
    fn latest_is_always_pulled_by_default() {
        for (image, policy) in [
            ("nginx", ImagePullPolicy::Always),
            ("nginx:latest", ImagePullPolicy::Always),
            ("nginx:1", ImagePullPolicy::IfNotPresent),
        ] {
            assert_eq!(
                ImageReference::parse(image).expect(image).default_pull_policy(),
                policy
            );
        }
    }

    #[test]
    fn every_error_names_its_part() {
        for (image, part) in [
            ("", "empty"),
            ("https://nginx", "scheme"),
            ("Nginx", "lower case"),
            ("my_host.example:5000/app", "not a registry"),
            ("host:99999/app", "not a registry"),
            ("nginx:", "not a tag"),
            ("nginx:-1", "not a tag"),
            ("nginx@sha256:12", "not a digest"),
            ("nginx@", "not a digest"),
            ("a//b", "not a repository"),
            ("a b", "not a repository"),
            ("-a", "not a repository"),
            ("a___b", "not a repository"),
            ("docker.io/", "not a repository"),
            ("$(IMAGE)", "lower case"),
        ] {
            let error = ImageReference::parse(image).expect_err(image).to_string();
            assert!(error.contains(part), "{image}: {error}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_the_canonical_form_is_stable(text in "([a-zA-Z0-9.:/@_-]|\\PC){0,40}") {
            if let Ok(image) = ImageReference::parse(&text) {
                let canonical = image.to_string();
                prop_assert_eq!(ImageReference::parse(&canonical).map(|again| again.to_string()), Ok(canonical));
            }
        }
    }
}
