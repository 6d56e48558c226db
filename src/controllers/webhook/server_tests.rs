//! Tests of the socket, over real TLS on loopback, with facts that are made up.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;

use super::{
    answer::Answerer,
    lookup::Lookup,
    server::{LIMIT, Server},
};
use crate::{
    admission::{Facts, Need, User},
    api::validate::Policy,
    telemetry::metrics::Metrics,
    tls::{
        rotation::{Kept, Step, Times, authorities},
        serving::Serving,
    },
};

/// Facts that are told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Option<Facts>>>);

impl Lookup for Told {
    async fn facts(&self, _need: Need<'_>) -> Result<Facts, String> {
        self.0
            .lock()
            .unwrap()
            .clone()
            .ok_or_else(|| "the API server is away".to_owned())
    }
}

struct Live {
    address: SocketAddr,
    serving: Arc<Serving>,
    kept: Kept,
    told: Told,
    metrics: Metrics,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

fn names() -> Vec<String> {
    vec!["127.0.0.1".to_owned()]
}

fn now() -> jiff::Timestamp {
    crate::clock::Clock::now(&crate::clock::System)
}

async fn live() -> Live {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let serving = Arc::new(Serving::default());
    let kept = Kept::first(now(), &Times::default(), &names()).unwrap();
    serving.swap(&kept.serving.pair).unwrap();
    let (told, metrics) = (Told::default(), Metrics::default());
    let answerer = Answerer {
        policy: Policy::default(),
        lookup: told.clone(),
        clock: Arc::new(crate::clock::System),
        metrics: metrics.clone(),
    };
    let server = Server::new(listener, Arc::clone(&serving), answerer);
    let address = server.address().unwrap();
    let (stop, stopped) = watch::channel(false);
    Live {
        address,
        serving,
        kept,
        told,
        metrics,
        stop,
        running: tokio::spawn(server.serve(stopped)),
    }
}

type Sender = SendRequest<Full<Bytes>>;

impl Live {
    /// A connection of a client that trusts this bundle.
    async fn connect(&self, bundle: &str) -> std::io::Result<Sender> {
        let mut roots = RootCertStore::empty();
        for pem in authorities(bundle) {
            roots
                .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
                .unwrap();
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tcp = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> (StatusCode, String) {
        let mut sender = self.connect(&self.kept.bundle()).await.unwrap();
        ask(&mut sender, request).await
    }
}

async fn ask(sender: &mut Sender, request: Request<Full<Bytes>>) -> (StatusCode, String) {
    let response = sender.send_request(request).await.unwrap();
    let code = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (code, String::from_utf8(body.to_vec()).unwrap())
}

fn post(body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let request = Request::builder()
        .method(Method::POST)
        .uri("/validate?timeout=5s");
    request.header("host", "x").body(Full::new(body.into())).unwrap()
}

fn deletion() -> Request<Full<Bytes>> {
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "u", "operation": "DELETE",
            "resource": {"group": "supercargo.dev", "version": "v1alpha1", "resource": "dockersecrets"},
            "oldObject": {"metadata": {"name": "db", "namespace": "shop"}},
        },
    });
    post(review.to_string())
}

#[tokio::test]
async fn a_review_is_answered_and_counted() {
    let live = live().await;
    *live.told.0.lock().unwrap() = Some(Facts {
        users: vec![User {
            name: "web".to_owned(),
            going: false,
        }],
        ..Facts::default()
    });
    let (code, body) = live.send(deletion()).await;
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (code, &answer["response"]["allowed"]),
        (StatusCode::OK, &json!(false))
    );
    *live.told.0.lock().unwrap() = Some(Facts::default());
    let (_, body) = live.send(deletion()).await;
    assert!(body.contains("\"allowed\":true"), "{body}");
    let metrics = live.metrics.text();
    let count = |outcome: &str| {
        format!(
            "supercargo_admission_reviews_total{{kind=\"DockerSecret\",operation=\"DELETE\",outcome=\"{outcome}\"}} 1"
        )
    };
    assert!(
        metrics.contains(&count("refused")) && metrics.contains(&count("admitted")),
        "{metrics}"
    );
}

#[tokio::test]
async fn what_could_not_be_found_out_is_a_failure_and_no_verdict() {
    let live = live().await;
    let (code, body) = live.send(deletion()).await;
    assert_eq!(code, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(body.contains("the API server is away"), "{body}");
}

#[tokio::test]
async fn what_is_no_review_is_refused_with_a_clear_text_and_the_server_goes_on() {
    let live = live().await;
    let get = Request::get("/validate")
        .header("host", "x")
        .body(Full::default())
        .unwrap();
    let elsewhere = Request::post("/other")
        .header("host", "x")
        .body(Full::default())
        .unwrap();
    for (request, code, text) in [
        (post(""), StatusCode::BAD_REQUEST, "no AdmissionReview"),
        (post("{}"), StatusCode::BAD_REQUEST, "no AdmissionReview"),
        (
            post(vec![0xFF; 10]),
            StatusCode::BAD_REQUEST,
            "no AdmissionReview",
        ),
        (
            post(vec![b' '; LIMIT + 1]),
            StatusCode::PAYLOAD_TOO_LARGE,
            "is not read",
        ),
        (get, StatusCode::METHOD_NOT_ALLOWED, "by POST"),
        (elsewhere, StatusCode::NOT_FOUND, "/validate"),
    ] {
        let (found, body) = live.send(request).await;
        assert_eq!(found, code, "{body}");
        assert!(body.contains(text), "{body}");
    }
    // No TLS, no HTTP, nothing at all.
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16, 3, 1, 255, 255, 0][..]] {
        let mut raw = TcpStream::connect(live.address).await.unwrap();
        raw.write_all(bytes).await.unwrap();
        raw.shutdown().await.unwrap();
        let _ended = raw.read_to_end(&mut Vec::new()).await;
    }
    let _mute = TcpStream::connect(live.address).await.unwrap();
    *live.told.0.lock().unwrap() = Some(Facts::default());
    assert_eq!(live.send(deletion()).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_certificate_is_replaced_under_open_connections_and_clients_with_either_bundle_go_on() {
    let live = live().await;
    *live.told.0.lock().unwrap() = Some(Facts::default());
    let (old, times) = (live.kept.bundle(), Times::default());
    let both = live.kept.after(Step::Prepare, now(), &times, &names()).unwrap();
    let mut open = live.connect(&old).await.unwrap();
    assert_eq!(ask(&mut open, deletion()).await.0, StatusCode::OK);
    assert!(
        live.connect(&both.bundle()).await.is_ok(),
        "who was told first still sees the old one"
    );
    let new = both.after(Step::Promote, now(), &times, &names()).unwrap();
    live.serving.swap(&new.serving.pair).unwrap();
    assert_eq!(ask(&mut open, deletion()).await.0, StatusCode::OK);
    assert!(live.connect(&both.bundle()).await.is_ok());
    assert!(
        live.connect(&old).await.is_err(),
        "who was never told does not trust the new one"
    );
}

#[tokio::test]
async fn a_stop_ends_idle_connections_and_closes_the_port() {
    let live = live().await;
    let _idle = live.connect(&live.kept.bundle()).await.unwrap();
    let _mute = TcpStream::connect(live.address).await.unwrap();
    live.stop.send_replace(true);
    tokio::time::timeout(std::time::Duration::from_secs(30), live.running)
        .await
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(live.address).await.is_err());
}
