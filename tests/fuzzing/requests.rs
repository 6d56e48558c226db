//! The fuzz target for whole requests: any method, path, query, headers and body into the handler of a real control plane
//! over the in-memory store, its loops included. Whatever comes is answered, soon, with a well-formed answer that is no
//! fault of the server. An input is a request as http/1.1 writes it, with bare line ends.

use std::{cell::RefCell, sync::Arc, time::Duration};

use base64ct::{Base64UrlUnpadded, Encoding};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tower::Service;

use super::shaping;
use crate::{
    apiserver::{
        admission::AdmitAll,
        authorize::{DefaultRoles, User},
        loops,
        response::Body,
        serve::{Handler, Options, Server},
        store::{self, Store},
    },
    clock::Fixed,
    telemetry::metrics::Metrics,
};

/// After so many requests the server is a new one, so that it stays small.
const LIFE: u32 = 5_000;
/// No request takes longer, other than a watch.
const PATIENCE: Duration = Duration::from_secs(20);

struct Lab {
    runtime: Runtime,
    server: Server,
    handler: Handler,
    asked: u32,
}

thread_local! {
    static LAB: RefCell<Option<Lab>> = const { RefCell::new(None) };
}

impl Lab {
    fn start() -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let server = runtime.block_on(async {
            let server = Server::new(Options {
                store: Store::in_memory(store::Options::default()),
                clock: Arc::new(Fixed::at("2026-01-02T03:04:05Z".parse().expect("a time"))),
                admission: Arc::new(AdmitAll),
                authorizer: Arc::new(DefaultRoles),
                metrics: Metrics::default(),
                refresh: Arc::new(|_| {}),
                address: "127.0.0.1:6443".to_owned(),
                checks: Vec::new(),
                loops: loops::Options {
                    ca_pem: "CA".to_owned(),
                    event_ttl: Duration::from_secs(3_600),
                },
            });
            server.start(None).await.expect("it starts");
            server
        });
        let handler = server.handler().acting_as(User::master("fuzz"));
        let mut lab = Self {
            runtime,
            server,
            handler,
            asked: 0,
        };
        lab.furnish();
        lab
    }

    /// A CRD that is served, and objects.
    fn furnish(&mut self) {
        let definition = shaping::thing_definition().to_string();
        let made = [
            (
                "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
                definition.as_str(),
            ),
            ("/api/v1/namespaces", r#"{"metadata":{"name":"a"}}"#),
            (
                "/api/v1/namespaces/a/configmaps",
                r#"{"metadata":{"name":"c","labels":{"x":"1"}},"data":{"k":"v"}}"#,
            ),
            (
                "/api/v1/namespaces/a/configmaps",
                r#"{"metadata":{"name":"d","finalizers":["a.b/c"]}}"#,
            ),
            (
                "/api/v1/namespaces/a/serviceaccounts",
                r#"{"metadata":{"name":"s"}}"#,
            ),
            (
                "/apis/test.dev/v1/namespaces/a/things",
                r#"{"apiVersion":"test.dev/v1","kind":"Thing","metadata":{"name":"t"},"spec":{"text":"x","count":1}}"#,
            ),
        ];
        for (path, body) in made {
            let post = || {
                let request = Request::post(path).header("content-type", "application/json");
                request.body(Bytes::from(body.to_owned())).expect("a request")
            };
            let mut code = 0;
            // Until the CRD is served.
            for _ in 0..1_000 {
                code = self.ask(post()).0;
                if code != 404 {
                    break;
                }
                self.runtime
                    .block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
            }
            assert_eq!(code, 201, "{path} {body}");
        }
    }

    fn ask(&mut self, request: Request<Bytes>) -> (u16, HeaderMap, Bytes) {
        let mut handler = self.handler.clone();
        self.asked += 1;
        let shown = format!("{request:?}");
        let watch = request.uri().query().is_some_and(|query| query.contains("watch"))
            || request.uri().path().contains("/watch/");
        self.runtime.block_on(async move {
            let answer = tokio::time::timeout(PATIENCE, handler.call(request.map(Full::new))).await;
            let Ok(answer) = answer.unwrap_or_else(|_| panic!("no answer to {shown}"));
            let (parts, body) = answer.into_parts();
            let status = parts.status.as_u16();
            // Without an end: what is there at once is read.
            let whole = if watch && status == 200 {
                ready(body)
            } else {
                let read = tokio::time::timeout(PATIENCE, body.collect()).await;
                let Ok(read) = read.unwrap_or_else(|_| panic!("no end of the answer to {shown}"));
                read.to_bytes()
            };
            (status, parts.headers, whole)
        })
    }
}

fn ready(mut body: Body) -> Bytes {
    use futures::FutureExt;
    let mut whole = Vec::new();
    for _ in 0..100 {
        let Some(Some(Ok(frame))) = body.frame().now_or_never() else {
            break;
        };
        whole.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
    }
    whole.into()
}

/// A request as http/1.1 writes it: `METHOD TARGET`, headers, an empty line, the body.
pub fn parse(bytes: &[u8]) -> Option<Request<Bytes>> {
    let end = bytes.windows(2).position(|two| two == b"\n\n");
    let (head, body) = end.map_or((bytes, &[][..]), |at| (&bytes[..at], &bytes[at + 2..]));
    let mut lines = head.split(|byte| *byte == b'\n');
    let first = std::str::from_utf8(lines.next()?).ok()?;
    let (method, target) = first.split_once(' ')?;
    let mut request = Request::builder().method(method).uri(target);
    for line in lines {
        let at = line.iter().position(|byte| *byte == b':')?;
        request = request.header(&line[..at], line[at + 1..].trim_ascii());
    }
    request.body(Bytes::copy_from_slice(body)).ok()
}

/// A list that goes on with a token: with one that says what the input is, or, after a `!`, with the input itself.
pub fn continue_token(bytes: &[u8]) {
    let inside = || Base64UrlUnpadded::encode_string(bytes).into_bytes();
    let token = bytes.strip_prefix(b"!").map_or_else(inside, Vec::from);
    let token: String = form_urlencoded::byte_serialize(&token).collect();
    for of in ["namespaces/a/configmaps", "configmaps", "namespaces"] {
        request(format!("GET /api/v1/{of}?limit=1&continue={token}").as_bytes());
    }
}

/// A whole request.
pub fn request(bytes: &[u8]) {
    let Some(request) = parse(bytes) else { return };
    let shown = || String::from_utf8_lossy(bytes).into_owned();
    let asked = (
        request.method() == http::Method::HEAD,
        request.uri().path().starts_with("/openapi/"),
    );
    LAB.with_borrow_mut(|kept| {
        if kept.as_ref().is_some_and(|lab| lab.asked > LIFE)
            && let Some(old) = kept.take()
        {
            old.runtime.block_on(old.server.stop());
        }
        let lab = kept.get_or_insert_with(Lab::start);
        let (code, headers, body) = lab.ask(request);
        judge(code, &headers, &body, asked).unwrap_or_else(|why| {
            panic!(
                "{why}\n{}\n=> {code} {headers:?}\n{}",
                shown(),
                String::from_utf8_lossy(&body)
            )
        });
        let alive = Request::get("/readyz").body(Bytes::new()).expect("a request");
        if lab.asked % 100 == 0 {
            let (code, _, text) = lab.ask(alive);
            assert_eq!(code, 200, "after {}: {}", shown(), String::from_utf8_lossy(&text));
        }
    });
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|part| part == word)
}

/// Whether an answer is well-formed and no fault of the server.
fn judge(code: u16, headers: &HeaderMap, body: &Bytes, (head, openapi): (bool, bool)) -> Result<(), String> {
    let of = Response::builder()
        .status(code)
        .body(())
        .map_err(|error| error.to_string())?;
    // What a Kubernetes API server says to who reads from the future: the server may get there yet.
    let from_the_future = code == 504 && contains(body, b"ResourceVersionTooLarge");
    if of.status().is_server_error() && !from_the_future {
        return Err("a fault of the server".to_owned());
    }
    let content = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let Some(content) = content else {
        return match body.is_empty() {
            // A Kubernetes API server refuses a document of OpenAPI without a word.
            true if code < 400 || code == 406 || (code == 404 && openapi) => Ok(()),
            _ => Err("what is it?".to_owned()),
        };
    };
    if code >= 400 && content == "text/plain; charset=utf-8" && body.ends_with(b"404 page not found\n") {
        return Ok(());
    }
    let json = if content == "application/yaml" {
        let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
        serde_saphyr::from_str::<Value>(text).map_err(|error| error.to_string())
    } else {
        serde_json::from_slice::<Value>(body).map_err(|error| error.to_string())
    };
    if code < 400 || (head && body.is_empty()) {
        let stream = content.contains("stream") || body.is_empty() || json.is_ok() || body.ends_with(b"\n");
        return match content.starts_with("application/json") && !stream {
            true => Err("no JSON".to_owned()),
            false => Ok(()),
        };
    }
    let status = json.map_err(|error| format!("a refusal that cannot be read: {error}"))?;
    let whole = status["kind"] == "Status"
        && status["apiVersion"] == "v1"
        && status["status"] == "Failure"
        && status["code"] == code
        && status["message"].as_str().is_some_and(|text| !text.is_empty());
    if whole {
        Ok(())
    } else {
        Err("a refusal that is no Status".to_owned())
    }
}
