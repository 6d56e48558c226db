//! A client that expects failures: connections by TLS with the administrator's certificate, requests whose outcome is a
//! result, watches line by line, and bytes as they are.

use std::{io, path::Path, sync::Arc, time::Duration};

use base64ct::{Base64, Encoding};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::process::SOON;

/// Whatever went wrong on the way.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How to reach a server.
#[derive(Clone)]
pub struct Wire {
    pub authority: String,
    config: Arc<ClientConfig>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub code: u16,
    pub raw: Bytes,
    pub body: Value,
}

impl Answer {
    pub fn revision(&self) -> u64 {
        revision(&self.body)
    }

    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}

/// `metadata.resourceVersion`.
pub fn revision(object: &Value) -> u64 {
    let text = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    text.parse()
        .unwrap_or_else(|_| panic!("no resourceVersion: {object}"))
}

impl Wire {
    /// As the file says, if it is whole.
    pub fn of(kubeconfig: &Path) -> Option<Self> {
        let config: Value = serde_saphyr::from_str(&std::fs::read_to_string(kubeconfig).ok()?).ok()?;
        let cluster = &config["clusters"][0]["cluster"];
        let user = &config["users"][0]["user"];
        let pem = |value: &Value| Base64::decode_vec(value.as_str()?).ok();
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem(&cluster["certificate-authority-data"])?) {
            roots.add(certificate.ok()?).ok()?;
        }
        let chain = CertificateDer::pem_slice_iter(&pem(&user["client-certificate-data"])?)
            .collect::<Result<Vec<_>, _>>()
            .ok()?;
        let key = PrivateKeyDer::from_pem_slice(&pem(&user["client-key-data"])?).ok()?;
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .ok()?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .ok()?;
        let server = cluster["server"].as_str()?;
        Some(Self {
            authority: server.strip_prefix("https://")?.to_owned(),
            config: Arc::new(config),
        })
    }

    /// Speaking this protocol: `h2`.
    pub fn speaking(&self, protocol: &str) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        Self {
            authority: self.authority.clone(),
            config: Arc::new(config),
        }
    }

    /// A connection.
    pub async fn open(&self) -> io::Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(&self.authority).await?;
        tcp.set_nodelay(true)?;
        let host = self.authority.rsplit_once(':').unwrap().0.to_owned();
        TlsConnector::from(Arc::clone(&self.config))
            .connect(ServerName::try_from(host).unwrap(), tcp)
            .await
    }

    /// One that is used for many requests.
    pub async fn line(&self) -> Result<Line, Failure> {
        let (sender, connection) = handshake(TokioIo::new(self.open().await?)).await?;
        tokio::spawn(connection);
        Ok(Line(sender))
    }

    /// One request on a connection of its own.
    pub async fn send(&self, method: &str, path: &str, body: &Value) -> Result<Answer, Failure> {
        self.line().await?.send(method, path, body).await
    }

    pub async fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.send("GET", path, &Value::Null).await
    }

    /// Sends bytes and reads until the other side ends, at most this long. What came, and whether it ended.
    pub async fn raw(&self, bytes: &[u8], within: Duration) -> (String, bool) {
        let mut stream = self.open().await.unwrap();
        let _broken_is_fine = stream.write_all(bytes).await;
        let mut read = Vec::new();
        let mut buffer = [0; 4096];
        let ended = tokio::time::timeout(within, async {
            while let Ok(count) = stream.read(&mut buffer).await {
                if count == 0 {
                    break;
                }
                read.extend_from_slice(&buffer[..count]);
            }
        });
        let ended = ended.await.is_ok();
        (String::from_utf8_lossy(&read).into_owned(), ended)
    }
}

/// A connection of http/1.1.
pub struct Line(pub SendRequest<Full<Bytes>>);

impl Line {
    async fn start(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<http::Response<Incoming>, Failure> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body))?;
        self.0.ready().await?;
        Ok(tokio::time::timeout(SOON, self.0.send_request(request)).await??)
    }

    pub async fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let (parts, body) = self.start(method, path, headers, body).await?.into_parts();
        let raw = tokio::time::timeout(SOON, body.collect()).await??.to_bytes();
        Ok(Answer {
            code: parts.status.as_u16(),

            body: serde_json::from_slice(&raw).unwrap_or_default(),
            raw,
        })
    }

    pub async fn send(&mut self, method: &str, path: &str, body: &Value) -> Result<Answer, Failure> {
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.ask(method, path, &[("content-type", "application/json")], text.into())
            .await
    }

    /// A stream of JSON lines.
    pub async fn watch(mut self, path: &str) -> Result<Events, Failure> {
        let answer = self.start("GET", path, &[], Bytes::new()).await?;
        if answer.status() != 200 {
            return Err(format!("{path}: {}", answer.status()).into());
        }
        Ok(Events {
            body: answer.into_body(),
            rest: Vec::new(),
            _line: self,
        })
    }
}

/// A watch.
pub struct Events {
    body: Incoming,
    rest: Vec<u8>,
    _line: Line,
}

impl Events {
    /// The next; `None` when it ended, an error when it broke off.
    pub async fn next(&mut self) -> Result<Option<Value>, Failure> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            match self.body.frame().await {
                Some(frame) => self
                    .rest
                    .extend_from_slice(frame?.data_ref().map_or(&[], |data| data)),
                None => return Ok(None),
            }
        }
    }
}
