//! A client of an API server: one connection over TLS, HTTP/1.1 or h2, as the administrator of a kubeconfig. Owns the
//! reading of that file and nothing of what is asked. Windows are as large as Go's clients have them.

use std::{fs, path::Path, sync::Arc};

use anyhow::{Context as _, Result, bail};
use base64ct::{Base64, Encoding};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response,
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// HTTP's version.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Http {
    One,
    Two,
}

/// How to reach a server.
#[derive(Clone)]
pub struct Access {
    address: String,
    one: Arc<ClientConfig>,
    two: Arc<ClientConfig>,
}

impl Access {
    /// From a kubeconfig with one cluster and one user, whose certificates are in it.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)?;
        let field = |name: &str| {
            text.lines()
                .filter_map(|line| line.trim().trim_start_matches("- ").split_once(": "))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.trim().trim_matches('"').to_owned())
                .with_context(|| format!("{name} is not in the kubeconfig"))
        };
        let pem = |name: &str| -> Result<Vec<u8>> {
            Base64::decode_vec(&field(name)?).map_err(|e| anyhow::anyhow!("{name}: {e}"))
        };
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(&pem("certificate-authority-data")?) {
            roots.add(root?)?;
        }
        let chain = CertificateDer::pem_slice_iter(&pem("client-certificate-data")?)
            .collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(&pem("client-key-data")?)?;
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)?;
        let with = |protocol: &[u8]| {
            let mut config = config.clone();
            config.alpn_protocols = vec![protocol.to_vec()];
            Arc::new(config)
        };
        let server = field("server")?;
        let Some(address) = server.strip_prefix("https://") else {
            bail!("{server} is not reached over TLS");
        };
        Ok(Self {
            address: address.trim_end_matches('/').to_owned(),
            one: with(b"http/1.1"),
            two: with(b"h2"),
        })
    }

    /// A new connection.
    pub async fn connect(&self, http: Http) -> Result<Connection> {
        let tcp = TcpStream::connect(&self.address).await?;
        tcp.set_nodelay(true)?;
        let config = if http == Http::One { &self.one } else { &self.two };
        let name = ServerName::try_from("127.0.0.1")?;
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, tcp).await?;
        let io = TokioIo::new(stream);
        let sender = match http {
            Http::One => {
                let (sender, connection) = http1::handshake(io).await?;
                tokio::spawn(connection);
                Sender::One(sender)
            }
            Http::Two => {
                let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                    .initial_stream_window_size(4 << 20)
                    .initial_connection_window_size(1 << 30)
                    .max_frame_size(64 << 10)
                    .handshake(io)
                    .await?;
                tokio::spawn(connection);
                Sender::Two(sender)
            }
        };
        Ok(Connection {
            sender,
            address: self.address.clone(),
        })
    }
}

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

/// One connection.
pub struct Connection {
    sender: Sender,
    address: String,
}

impl Connection {
    /// Sends a request and answers when the headers are there.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        kind: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>> {
        let request = Request::builder()
            .method(method)
            .header("host", &self.address)
            .header("accept", "application/json")
            .header("content-type", kind);
        Ok(match &mut self.sender {
            Sender::One(sender) => {
                sender.ready().await?;
                sender
                    .send_request(request.uri(path).body(Full::new(body))?)
                    .await?
            }
            Sender::Two(sender) => {
                sender.ready().await?;
                let uri = format!("https://{}{path}", self.address);
                sender
                    .send_request(request.uri(uri).body(Full::new(body))?)
                    .await?
            }
        })
    }

    /// The same, with the whole answer, which has to be a 2xx.
    pub async fn call(&mut self, method: Method, path: &str, kind: &str, body: Bytes) -> Result<Bytes> {
        let shown = format!("{method} {path}");
        let answer = self.send(method, path, kind, body).await?;
        let code = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if !code.is_success() {
            bail!("{shown}: {code}: {}", String::from_utf8_lossy(&body));
        }
        Ok(body)
    }

    /// GET.
    pub async fn get(&mut self, path: &str) -> Result<Bytes> {
        self.call(Method::GET, path, "application/json", Bytes::new())
            .await
    }

    /// POST of JSON.
    pub async fn post(&mut self, path: &str, body: Bytes) -> Result<Bytes> {
        self.call(Method::POST, path, "application/json", body).await
    }
}
