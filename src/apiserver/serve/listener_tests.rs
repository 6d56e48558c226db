//! The listener over real sockets on loopback: TLS, certificates, both protocols, bad input, and its end.
//! Certificates come from a real directory, clients are hyper over rustls; no test waits for time to pass.

use std::{net::SocketAddr, os::unix::fs::MetadataExt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use jiff::SignedDuration;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    Listener, Tls,
    handler_tests::{Rig, rig},
    listener::ListenError,
    pki::{self, Material, Pki},
};
use crate::{
    clock::{Clock, Fixed, System},
    tls::certificate::{self, DAY, Pair},
};

struct Live {
    rig: Rig,
    address: SocketAddr,
    material: Material,
    tls: Tls,
    clock: Fixed,
    serving: JoinHandle<()>,
    _dir: tempfile::TempDir,
}

fn live() -> Live {
    let dir = tempfile::tempdir().unwrap();
    let me = std::fs::metadata(dir.path()).unwrap().uid();
    // The client of these tests verifies with the machine's clock.
    let clock = Fixed::at(System.now());
    let pki = Pki::new(&dir.path().join("pki"), me, [], Arc::new(clock.clone()));
    let material = pki.ensure().unwrap();
    let tls = Tls::new(&material, Arc::new(clock.clone())).unwrap();
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.address();
    let rig = rig();
    let stop = rig.stop.subscribe();
    let serving = tokio::spawn(listener.serve(tls.clone(), rig.handler.clone(), stop));
    Live {
        rig,
        address,
        material,
        tls,
        clock,
        serving,
        _dir: dir,
    }
}

impl Live {
    async fn connect(&self, client: Option<&Pair>, alpn: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        let authority = self.material.authority.certificate.as_bytes();
        roots
            .add(CertificateDer::from_pem_slice(authority).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match client {
            Some(pair) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap(),
                )
                .unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    async fn admin(&self, alpn: &str) -> TlsStream<TcpStream> {
        self.connect(Some(&self.material.admin), alpn).await.unwrap()
    }

    async fn raw(&self, text: &[u8]) -> String {
        let mut stream = self.admin("http/1.1").await;
        stream.write_all(text).await.unwrap();
        let mut answer = Vec::new();
        // The other side may close without saying so.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}

type H1 = hyper::client::conn::http1::SendRequest<Full<Bytes>>;
type H2 = hyper::client::conn::http2::SendRequest<Full<Bytes>>;

async fn h1(stream: TlsStream<TcpStream>) -> H1 {
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

async fn h2(stream: TlsStream<TcpStream>) -> H2 {
    let io = TokioIo::new(stream);
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("https://localhost{path}"))
        .header("host", "localhost")
        .body(Full::default())
        .unwrap()
}

async fn code(answer: hyper::Result<Response<Incoming>>) -> u16 {
    let answer = answer.unwrap();
    let code = answer.status().as_u16();
    answer.into_body().collect().await.unwrap();
    code
}

#[tokio::test]
async fn the_admin_is_let_in_over_both_protocols_and_who_shows_nothing_is_anonymous() {
    let live = live();
    assert_eq!(
        code(
            h2(live.admin("h2").await)
                .await
                .send_request(get("/api/v1/xs"))
                .await
        )
        .await,
        200
    );
    assert_eq!(
        code(
            h1(live.admin("http/1.1").await)
                .await
                .send_request(get("/api/v1/xs"))
                .await
        )
        .await,
        200
    );
    let seen = live.rig.stub.seen.lock().unwrap().clone();
    assert!(
        seen.iter().all(|(user, _)| user.name == "supercargo-admin"),
        "{seen:?}"
    );
    let nobody = live.connect(None, "h2").await.unwrap();
    let mut nobody = h2(nobody).await;
    assert_eq!(code(nobody.send_request(get("/api/v1/xs")).await).await, 401);
    assert_eq!(code(nobody.send_request(get("/healthz")).await).await, 200);
    assert_eq!(live.rig.stub.seen.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_certificate_of_another_authority_or_out_of_date_does_not_get_through_tls() {
    let live = live();
    let now = live.clock.now();
    let stranger = pki::authority(now, None).unwrap();
    let forged = pki::admin(&stranger, now).unwrap();
    let old = pki::admin(
        &live.material.authority,
        now - SignedDuration::from_hours(24 * 400),
    )
    .unwrap();
    for bad in [&forged, &old] {
        // In TLS 1.3 the client learns of it with its first read.
        let refused = match live.connect(Some(bad), "http/1.1").await {
            Err(_) => true,
            Ok(mut stream) => {
                let _ = stream
                    .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
                    .await;
                stream.read_to_end(&mut Vec::new()).await.is_err()
            }
        };
        assert!(refused);
    }
    assert!(live.rig.stub.seen.lock().unwrap().is_empty());
    live.clock.advance(SignedDuration::from_hours(24 * 400));
    let mut late = live
        .connect(Some(&live.material.admin), "http/1.1")
        .await
        .unwrap();
    assert!(
        late.read_to_end(&mut Vec::new()).await.is_err(),
        "the admin's has ended, too"
    );
}

#[tokio::test]
async fn a_certificate_for_nobody_in_masters_is_403() {
    let live = live();
    let jane = certificate::client(&live.material.authority, live.clock.now(), DAY, "jane", "dev").unwrap();
    let mut jane = h2(live.connect(Some(&jane), "h2").await.unwrap()).await;
    assert_eq!(code(jane.send_request(get("/api/v1/secrets")).await).await, 403);
}

#[tokio::test]
async fn a_new_serving_certificate_is_seen_by_new_connections_and_old_ones_go_on() {
    let live = live();
    let first = live.admin("h2").await;
    let shown = |stream: &TlsStream<TcpStream>| stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    let before = shown(&first);
    let mut old = h2(first).await;
    let names = ["localhost".to_owned()];
    let new = pki::serving(&live.material.authority, live.clock.now(), &names).unwrap();
    live.tls.swap(&new).unwrap();
    assert_ne!(shown(&live.admin("h2").await), before);
    assert_eq!(code(old.send_request(get("/api/v1/xs")).await).await, 200);
}

#[tokio::test]
async fn what_is_no_http_gets_a_4xx_or_nothing_and_the_server_goes_on() {
    let live = live();
    let long = format!(
        "GET /healthz HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
        "a".repeat(200_000)
    );
    for bad in [
        "rubbish rubbish rubbish\r\n\r\n",
        "GET / HTTP/9.9\r\nhost: x\r\n\r\n",
        "GET /api/v1/xs HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n",
        "POST /api/v1/xs HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\nzz\r\n",
        "GET /api/v1/xs HTTP/1.1\r\nhost: x\r\n: y\r\n\r\n",
        "GET /\u{0}\u{1} HTTP/1.1\r\nhost: x\r\n\r\n",
        &long,
    ] {
        let answer = live.raw(bad.as_bytes()).await;
        let shown: String = bad.chars().take(60).collect();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{shown:?}: {answer}"
        );
    }
    assert_eq!(
        code(
            h2(live.admin("h2").await)
                .await
                .send_request(get("/api/v1/xs"))
                .await
        )
        .await,
        200
    );
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413_over_both_protocols() {
    let live = live();
    let large = || {
        Request::post("https://localhost/api/v1/xs")
            .header("host", "localhost")
            .body(Full::new(Bytes::from(vec![b'x'; super::body::LIMIT + 1])))
            .unwrap()
    };
    assert_eq!(
        code(h2(live.admin("h2").await).await.send_request(large()).await).await,
        413
    );
    assert_eq!(
        code(h1(live.admin("http/1.1").await).await.send_request(large()).await).await,
        413
    );
}

#[tokio::test]
async fn a_panic_leaves_the_other_streams_of_its_connection_alone() {
    let live = live();
    let mut sender = h2(live.admin("h2").await).await;
    let mut watch = sender
        .send_request(get("/api/v1/watches?watch=1"))
        .await
        .unwrap()
        .into_body();
    assert_eq!(code(sender.send_request(get("/api/v1/panics")).await).await, 500);
    assert_eq!(
        code(sender.send_request(get("/api/v1/bomb?watch=1")).await).await,
        200
    );
    assert!(watch.frame().await.unwrap().is_ok());
}

#[tokio::test]
async fn a_slow_reader_of_one_stream_holds_up_no_other() {
    let live = live();
    let mut sender = h2(live.admin("h2").await).await;
    let unread = sender.send_request(get("/api/v1/large")).await.unwrap();
    let _watch_unread = sender.send_request(get("/api/v1/watches?watch=1")).await.unwrap();
    for _ in 0..10 {
        let mut other = h2(live.admin("h2").await).await;
        assert_eq!(code(other.send_request(get("/api/v1/xs")).await).await, 200);
    }
    assert_eq!(
        unread.into_body().collect().await.unwrap().to_bytes().len(),
        8 << 20
    );
}

#[tokio::test]
async fn a_stop_ends_watches_and_idle_connections_and_closes_the_port() {
    let live = live();
    let mut two = h2(live.admin("h2").await).await;
    let two = two.send_request(get("/api/v1/silent?watch=1")).await.unwrap();
    let mut one = h1(live.admin("http/1.1").await).await;
    let one = one.send_request(get("/api/v1/silent?watch=1")).await.unwrap();
    let _idle = h2(live.admin("h2").await).await;
    let _mute = live.admin("http/1.1").await;
    let _raw = TcpStream::connect(live.address).await.unwrap();
    live.rig.stop.send_replace(true);
    assert!(two.into_body().collect().await.unwrap().to_bytes().is_empty());
    assert!(one.into_body().collect().await.unwrap().to_bytes().is_empty());
    tokio::time::timeout(Duration::from_secs(30), live.serving)
        .await
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(live.address).await.is_err());
}

#[tokio::test]
async fn an_address_that_others_reach_is_refused() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:6443"] {
        let refused = Listener::bind(address.parse().unwrap());
        assert!(matches!(refused, Err(ListenError::OffLoopback(_))), "{address}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_said() {
    let live = live();
    assert!(matches!(
        Listener::bind(live.address),
        Err(ListenError::System { .. })
    ));
}
