//! An HTTP client that hides nothing: status, headers and bytes as they came, and watches line by line. One per server
//! and identity, with connections kept alive. Knows kubeconfig files, and nothing of either server's code.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64ct::{Base64, Encoding};
use bytes::Bytes;
use http::{HeaderMap, Request, Uri};
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
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A bound for what takes milliseconds: the machine may be busy.
pub const SOON: Duration = Duration::from_secs(30);

/// A server and who speaks to it.
pub struct Client {
    pub authority: String,
    tls: TlsConnector,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub code: u16,
    pub headers: HeaderMap,
    pub raw: Bytes,
    /// `null` when it is no JSON.
    pub body: Value,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Ask {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

impl Ask {
    pub fn new(method: &'static str, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn accept(self, value: &str) -> Self {
        self.header("accept", value)
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// A body of this content type; an empty type sends none.
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        if content_type.is_empty() {
            self
        } else {
            self.header("content-type", content_type)
        }
    }

    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }
}

/// What a kubeconfig file says: for the administrator, and for somebody without credentials.
pub fn from_kubeconfig(path: &Path) -> (Client, Client) {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let config: Value = serde_saphyr::from_str(&text).unwrap();
    let cluster = &config["clusters"][0]["cluster"];
    let user = &config["users"][0]["user"];
    let pem =
        |value: &Value| Base64::decode_vec(value.as_str().expect("a kubeconfig with embedded data")).unwrap();
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem(&cluster["certificate-authority-data"])) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = || {
        let builder = ClientConfig::builder_with_provider(provider.clone());
        builder
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots.clone())
    };
    let chain = CertificateDer::pem_slice_iter(&pem(&user["client-certificate-data"]))
        .map(Result::unwrap)
        .collect();
    let key = PrivateKeyDer::from_pem_slice(&pem(&user["client-key-data"])).unwrap();
    let admin = builder().with_client_auth_cert(chain, key).unwrap();
    let nobody = builder().with_no_client_auth();
    let uri: Uri = cluster["server"].as_str().unwrap().parse().unwrap();
    let authority = uri.authority().unwrap().to_string();
    (Client::new(&authority, admin), Client::new(&authority, nobody))
}

impl Client {
    fn new(authority: &str, config: ClientConfig) -> Self {
        Self {
            authority: authority.to_owned(),
            tls: TlsConnector::from(Arc::new(config)),
            idle: Mutex::default(),
        }
    }

    async fn connect(&self) -> SendRequest<Full<Bytes>> {
        let tcp = TcpStream::connect(&self.authority)
            .await
            .unwrap_or_else(|e| panic!("{}: {e}", self.authority));
        let host = self.authority.rsplit_once(':').unwrap().0.to_owned();
        let stream = self
            .tls
            .connect(ServerName::try_from(host).unwrap(), tcp)
            .await
            .unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    async fn sender(&self) -> SendRequest<Full<Bytes>> {
        loop {
            let idle = self.idle.lock().unwrap().pop();
            match idle {
                Some(mut sender) => {
                    if sender.ready().await.is_ok() {
                        return sender;
                    }
                }
                None => return self.connect().await,
            }
        }
    }

    async fn start(&self, ask: &Ask) -> (SendRequest<Full<Bytes>>, http::Response<Incoming>) {
        // A connection that the server closed just now is no answer.
        for last in [false, true] {
            let mut sender = if last {
                self.connect().await
            } else {
                self.sender().await
            };
            let mut request = Request::builder()
                .method(ask.method)
                .uri(&ask.path)
                .header("host", &self.authority);
            request = request.header("user-agent", "conformance/1");
            for (name, value) in &ask.headers {
                request = request.header(*name, value);
            }
            let request = request.body(Full::new(ask.body.clone())).unwrap();
            match tokio::time::timeout(SOON, sender.send_request(request)).await {
                Ok(Ok(response)) => return (sender, response),
                Ok(Err(e)) if last => panic!("{} {}: {e}", ask.method, ask.path),
                Ok(Err(_)) => {}
                Err(_) => panic!("{} {}: no answer within {SOON:?}", ask.method, ask.path),
            }
        }
        unreachable!("the last attempt answers or panics")
    }

    pub async fn send(&self, ask: &Ask) -> Answer {
        let (sender, response) = self.start(ask).await;
        let (parts, body) = response.into_parts();
        let read = tokio::time::timeout(SOON, body.collect()).await;
        let raw = read
            .unwrap_or_else(|_| panic!("{} {}: the body does not end", ask.method, ask.path))
            .unwrap()
            .to_bytes();
        self.idle.lock().unwrap().push(sender);
        let body = serde_json::from_slice(&raw).unwrap_or_default();
        Answer {
            code: parts.status.as_u16(),
            headers: parts.headers,
            raw,
            body,
        }
    }

    /// Opens a stream of JSON lines. A refusal is an answer instead.
    pub async fn stream(&self, ask: &Ask) -> Result<Stream, Answer> {
        let (sender, response) = self.start(ask).await;
        let (parts, body) = response.into_parts();
        if parts.status == 200 {
            return Ok(Stream {
                _connection: sender,
                body,
                rest: Vec::new(),
            });
        }
        let raw = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&raw).unwrap_or_default();
        Err(Answer {
            code: parts.status.as_u16(),
            headers: parts.headers,
            raw,
            body,
        })
    }
}

/// A watch.
pub struct Stream {
    _connection: SendRequest<Full<Bytes>>,
    body: Incoming,
    rest: Vec<u8>,
}

impl Stream {
    /// The next line; `None` when the stream ended as it should.
    pub async fn next(&mut self, bound: Duration) -> Option<Value> {
        let deadline = tokio::time::Instant::now() + bound;
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Some(
                    serde_json::from_slice(&line)
                        .unwrap_or_else(|e| panic!("a line of a watch is no JSON: {e}")),
                );
            }
            let frame = tokio::time::timeout_at(deadline, self.body.frame()).await;
            match frame.unwrap_or_else(|_| panic!("nothing came from a watch within {bound:?}")) {
                Some(Ok(frame)) => self
                    .rest
                    .extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                Some(Err(e)) => panic!("a watch broke off: {e}"),
                None => return None,
            }
        }
    }

    /// Whether nothing comes for this long.
    pub async fn silent(&mut self, bound: Duration) -> bool {
        if self.rest.contains(&b'\n') {
            return false;
        }
        match tokio::time::timeout(bound, self.body.frame()).await {
            Err(_) => true,
            Ok(Some(Ok(frame))) => {
                self.rest
                    .extend_from_slice(frame.data_ref().map_or(&[], |data| data));
                false
            }
            Ok(_) => false,
        }
    }
}
