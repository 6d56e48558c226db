//! Where an engine listens: parses `unix://` and `tcp://`, and refuses an unencrypted TCP port unless told otherwise.
//! Opens nothing (that is `wire`) and reads no environment (that is `cli`, which passes what `DOCKER_HOST` and
//! `DOCKER_CERT_PATH` say).

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::engine::{Error, Kind, Op, Result};

/// The files of mutual TLS, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authorities that the engine's certificate must come from; no other is trusted.
    pub ca: PathBuf,
    /// Our certificate, followed by its chain.
    pub cert: PathBuf,
    /// Our certificate's key.
    pub key: PathBuf,
}

impl TlsFiles {
    /// `ca.pem`, `cert.pem` and `key.pem` in a directory, as `DOCKER_CERT_PATH` names one.
    #[must_use]
    pub fn in_dir(dir: &Path) -> Self {
        Self {
            ca: dir.join("ca.pem"),
            cert: dir.join("cert.pem"),
            key: dir.join("key.pem"),
        }
    }
}

/// Where an engine listens and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A socket of this host.
    Unix(PathBuf),
    /// A TCP port, with TLS that proves both sides.
    Tls {
        /// A name or an address.
        host: String,
        /// The port.
        port: u16,
        /// What proves it.
        files: TlsFiles,
    },
    /// A TCP port in the clear.
    Plain {
        /// A name or an address.
        host: String,
        /// The port.
        port: u16,
    },
}

impl Endpoint {
    /// Parses `unix:///path`, a bare `/path` or `tcp://host[:port]`; TLS when files are given (port 2376 when absent),
    /// else plain TCP (port 2375), which is refused unless `insecure`: whoever reaches that port is root on the host,
    /// and everything sealed passes in the clear.
    pub fn parse(address: &str, tls: Option<TlsFiles>, insecure: bool) -> Result<Self> {
        let refuse = |message: String| Err(Error::new(Op::Connect, address, Kind::Invalid, message));
        if let Some(path) = address
            .strip_prefix("unix://")
            .or_else(|| address.starts_with('/').then_some(address))
        {
            if !path.starts_with('/') {
                return refuse(
                    "the path of a unix:// address must be absolute, as in unix:///var/run/docker.sock"
                        .into(),
                );
            }
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        let Some(rest) = address.strip_prefix("tcp://") else {
            return refuse("the engine's address must begin with unix:// or tcp://".into());
        };
        if tls.is_none() && !insecure {
            return refuse(
                "refusing to speak to a Docker engine over unencrypted TCP: give the certificates (DOCKER_CERT_PATH), \
                 or pass --insecure-docker if nobody else can reach that port"
                    .into(),
            );
        }
        let default_port = if tls.is_some() { 2376 } else { 2375 };
        let Some((host, port)) = host_and_port(rest.trim_end_matches('/'), default_port) else {
            return refuse("the engine's address must be tcp://host:port".into());
        };
        Ok(match tls {
            Some(files) => Self::Tls { host, port, files },
            None => Self::Plain { host, port },
        })
    }
}

/// Splits `host`, `host:port` and `[v6]:port`; none when it is neither.
fn host_and_port(text: &str, default_port: u16) -> Option<(String, u16)> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, tail) = rest.split_once(']')?;
        (
            host,
            if tail.is_empty() {
                None
            } else {
                Some(tail.strip_prefix(':')?)
            },
        )
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let port = port.map_or(Some(default_port), |text| text.parse().ok())?;
    let clean = !host.is_empty() && !host.contains(['/', '@', ' ']);
    (clean && port != 0).then(|| (host.to_owned(), port))
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tls { host, port, .. } | Self::Plain { host, port } if host.contains(':') => {
                write!(f, "tcp://[{host}]:{port}")
            }
            Self::Tls { host, port, .. } | Self::Plain { host, port } => write!(f, "tcp://{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> TlsFiles {
        TlsFiles::in_dir(Path::new("/certs"))
    }

    #[test]
    fn a_socket_is_named_by_url_or_by_path() {
        let expected = Endpoint::Unix("/run/docker.sock".into());
        assert_eq!(
            Endpoint::parse("unix:///run/docker.sock", None, false).unwrap(),
            expected
        );
        assert_eq!(
            Endpoint::parse("/run/docker.sock", None, false).unwrap(),
            expected
        );
    }

    #[test]
    fn plain_tcp_is_refused_with_the_flag_that_allows_it() {
        let error = Endpoint::parse("tcp://10.0.0.1:2375", None, false).unwrap_err();
        assert_eq!(error.kind, Kind::Invalid);
        assert!(error.message.contains("--insecure-docker"), "{error}");
        let endpoint = Endpoint::parse("tcp://10.0.0.1", None, true).unwrap();
        assert_eq!(
            endpoint,
            Endpoint::Plain {
                host: "10.0.0.1".into(),
                port: 2375
            }
        );
    }

    #[test]
    fn certificates_make_it_tls_even_where_plain_is_allowed() {
        let endpoint = Endpoint::parse("tcp://[fd00::1]/", Some(files()), true).unwrap();
        assert_eq!(
            endpoint,
            Endpoint::Tls {
                host: "fd00::1".into(),
                port: 2376,
                files: files()
            }
        );
        assert_eq!(endpoint.to_string(), "tcp://[fd00::1]:2376");
    }

    #[test]
    fn nonsense_is_refused_and_never_panics() {
        for text in [
            "",
            "tcp://",
            "tcp://:1",
            "tcp://h:x",
            "tcp://h:0",
            "tcp://[::1",
            "tcp://u@h:1",
            "unix://x",
            "http://h",
        ] {
            assert_eq!(
                Endpoint::parse(text, None, true).unwrap_err().kind,
                Kind::Invalid,
                "{text}"
            );
        }
    }
}
