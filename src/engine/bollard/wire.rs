//! The one way to the engine's port: opens a connection per request (unix, TCP or TLS) and speaks HTTP/1.1 over it.
//! bollard sends through it, and so do the calls that carry plaintext or need a stream from its first byte, with bodies
//! of their own. No pool: a stale kept-alive connection would make it unknown whether a call took effect, and a socket
//! of the same host costs microseconds. No timeouts and no meaning of answers: those are `mod` and `classify`.

use std::{io, path::PathBuf, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, Uri, header, uri::PathAndQuery};
use http_body_util::Full;
use hyper::{body::Body, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::TlsConnector;

use super::endpoint::{Endpoint, TlsFiles};
use crate::engine::{Error, Kind, Op, Result};

type SendResult = std::result::Result<Response<Incoming>, ::bollard::errors::Error>;

/// A way to open connections to one engine.
pub(super) struct Wire {
    dial: Dial,
    host: HeaderValue,
}

enum Dial {
    Unix(PathBuf),
    Tcp {
        host: String,
        port: u16,
    },
    Tls {
        host: String,
        port: u16,
        connector: TlsConnector,
        name: ServerName<'static>,
    },
}

impl Wire {
    /// Prepares connections; reads the TLS files and opens nothing.
    pub(super) fn new(endpoint: &Endpoint) -> Result<Self> {
        let invalid = |message: String| Error::new(Op::Connect, endpoint.to_string(), Kind::Invalid, message);
        let (dial, authority) = match endpoint {
            Endpoint::Unix(path) => (Dial::Unix(path.clone()), "localhost".to_owned()),
            Endpoint::Plain { host, port } => (
                Dial::Tcp {
                    host: host.clone(),
                    port: *port,
                },
                authority(host, *port),
            ),
            Endpoint::Tls { host, port, files } => {
                let connector = connector(files).map_err(invalid)?;
                let name = ServerName::try_from(host.clone()).map_err(|e| invalid(e.to_string()))?;
                (
                    Dial::Tls {
                        host: host.clone(),
                        port: *port,
                        connector,
                        name,
                    },
                    authority(host, *port),
                )
            }
        };
        // Go's server refuses a request without a well-formed Host header.
        let host = HeaderValue::try_from(authority).map_err(|e| invalid(e.to_string()))?;
        Ok(Self { dial, host })
    }

    /// Sends a request on a connection of its own; answers when the answer's head is there.
    pub(super) async fn send<B>(&self, mut request: Request<B>) -> SendResult
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        // Origin form: what stands before the path is only of use to a proxy.
        let path = request
            .uri()
            .path_and_query()
            .cloned()
            .unwrap_or(PathAndQuery::from_static("/"));
        *request.uri_mut() = Uri::from(path);
        request.headers_mut().insert(header::HOST, self.host.clone());
        match &self.dial {
            Dial::Unix(path) => speak(UnixStream::connect(path).await?, request).await,
            Dial::Tcp { host, port } => speak(tcp(host, *port).await?, request).await,
            Dial::Tls {
                host,
                port,
                connector,
                name,
            } => {
                let stream = connector.connect(name.clone(), tcp(host, *port).await?).await?;
                speak(stream, request).await
            }
        }
    }

    /// Sends a request whose body and registry login are already in buffers of the caller's choice.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        auth: Option<HeaderValue>,
    ) -> SendResult {
        let mut request = Request::builder().method(method).uri(path);
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(auth) = auth {
            request = request.header("X-Registry-Auth", auth);
        }
        self.send(request.body(Full::new(body))?).await
    }
}

impl Wire {
    /// Sends a request with a JSON body that asks to speak something else on the same connection from then on.
    pub(super) async fn upgrade(&self, path: &str, body: Bytes) -> SendResult {
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "tcp");
        self.send(request.body(Full::new(body))?).await
    }
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn speak<S, B>(stream: S, request: Request<B>) -> SendResult
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // Vectored writes keep hyper from copying bodies into a buffer that nobody wipes.
    let (mut sender, connection) = http1::Builder::new()
        .writev(true)
        .handshake::<_, B>(TokioIo::new(stream))
        .await?;
    // Ends by itself once the answer was read or dropped; its error also reaches whoever waits for the answer.
    tokio::spawn(async move {
        let _ = connection.with_upgrades().await;
    });
    Ok(sender.send_request(request).await?)
}

fn authority(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Trusts the given authority alone, as the docker client does.
fn connector(files: &TlsFiles) -> std::result::Result<TlsConnector, String> {
    let unreadable = |path: &PathBuf, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let mut roots = rustls::RootCertStore::empty();
    for certificate in certificates(&files.ca)? {
        roots.add(certificate).map_err(|e| unreadable(&files.ca, &e))?;
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| unreadable(&files.key, &e))?;
    // The provider is named, so that it does not matter which others are in the program.
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_root_certificates(roots)
            .with_client_auth_cert(certificates(&files.cert)?, key)
            .map_err(|e| unreadable(&files.cert, &e))?;
    Ok(TlsConnector::from(Arc::new(config)))
}

fn certificates(path: &PathBuf) -> std::result::Result<Vec<CertificateDer<'static>>, String> {
    let read =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(format!("{}: holds no certificate", path.display())),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}
