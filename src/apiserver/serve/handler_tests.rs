//! The way of a request, through the service and without a socket: who gets through, what stops him, and what the answer
//! carries. The routes are a stub that does what its path says.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, future::BoxFuture};
use http::{Request, request::Parts};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use serde_json::Value;
use tokio::sync::{Notify, Semaphore, watch};
use tower::Service;

use super::{
    handler::{Handler, Shared},
    health::Check,
    routes::Routes,
};
use crate::{
    apiserver::{
        authorize::{DefaultRoles, User},
        request::ResourcePath,
        response::{self, Response},
    },
    telemetry::metrics::Metrics,
};

type Quiet = Result<Frame<Bytes>, Infallible>;

/// Answers by the resource's name.
#[derive(Default)]
pub(super) struct Stub {
    pub(super) go: Notify,
    pub(super) seen: Mutex<Vec<(User, usize)>>,
}

impl Routes for Stub {
    fn resource(
        &self,
        user: User,
        path: ResourcePath,
        _parts: Parts,
        body: Bytes,
    ) -> BoxFuture<'_, Response> {
        self.seen.lock().unwrap().push((user, body.len()));
        async move {
            match &*path.resource {
                "panics" => panic!("on purpose"),
                "waits" => {
                    self.go.notified().await;
                    response::json(200, &Value::Null)
                }
                "never" => std::future::pending().await,
                "watches" => {
                    let lines =
                        futures::stream::repeat_with(|| Frame::data(Bytes::from_static(&[b'x'; 4096])));
                    http::Response::new(StreamBody::new(lines.map(Quiet::Ok)).boxed_unsync())
                }
                "silent" => {
                    let quiet = futures::stream::pending::<Quiet>();
                    http::Response::new(StreamBody::new(quiet).boxed_unsync())
                }
                "bomb" => {
                    let bomb =
                        futures::stream::poll_fn(|_| -> Poll<Option<Quiet>> { panic!("in the stream") });
                    http::Response::new(StreamBody::new(bomb).boxed_unsync())
                }
                "large" => response::bytes(200, "text/plain", vec![b'x'; 8 << 20]),
                _ => response::json(
                    200,
                    &serde_json::json!({"resource": path.resource, "body": body.len()}),
                ),
            }
        }
        .boxed()
    }

    fn other(&self, path: &str, _parts: &Parts) -> Response {
        if path == "/version" {
            return response::json(200, &serde_json::json!({"major": "1"}));
        }
        response::nothing_here()
    }
}

pub(super) struct Rig {
    pub(super) handler: Handler,
    pub(super) stub: Arc<Stub>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) metrics: Metrics,
}

pub(super) fn rig() -> Rig {
    let (stop, stopped) = watch::channel(false);
    let stub = Arc::new(Stub::default());
    let metrics = Metrics::default();
    let handler = Handler::new(Shared {
        routes: stub.clone(),
        authorizer: Arc::new(DefaultRoles),
        checks: vec![Check::live("ping", || Ok(()))],
        metrics: metrics.clone(),
        stop: stopped,
        patience: Duration::from_secs(60),
        reads: Semaphore::new(2),
        writes: Semaphore::new(1),
    });
    Rig {
        handler,
        stub,
        stop,
        metrics,
    }
}

fn request(method: &str, uri: &str, user: Option<User>, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body.into()));
    *request.method_mut() = method.parse().unwrap();
    *request.uri_mut() = uri.parse().unwrap();
    if let Some(user) = user {
        request.extensions_mut().insert(Arc::new(user));
    }
    request
}

fn admin() -> Option<User> {
    Some(User::master("admin"))
}

fn jane() -> Option<User> {
    Some(User {
        name: "jane".to_owned(),
        groups: vec!["system:authenticated".to_owned()],
        ..User::default()
    })
}

impl Rig {
    async fn send(&self, request: Request<Full<Bytes>>) -> Response {
        let Ok(answer) = self.handler.clone().call(request).await;
        answer
    }

    async fn ask(&self, method: &str, uri: &str, user: Option<User>) -> (u16, String) {
        text(self.send(request(method, uri, user, "")).await).await
    }
}

async fn text(answer: Response) -> (u16, String) {
    let code = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (code, String::from_utf8_lossy(&body).into_owned())
}

fn message(body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["kind"], "Status");
    body["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn without_credentials_only_health_and_version_answer() {
    let rig = rig();
    for open in ["/healthz", "/livez?verbose", "/readyz", "/version"] {
        assert_eq!(rig.ask("GET", open, None).await.0, 200, "{open}");
    }
    for closed in [
        "/",
        "/api",
        "/apis",
        "/metrics",
        "/openapi/v2",
        "/nope",
        "/livez/ping",
        "/api/v1/secrets",
        "/api/v1/namespaces/a/secrets/b?watch=true",
        "/version/x",
    ] {
        let (code, body) = rig.ask("GET", closed, None).await;
        assert_eq!((code, message(&body).as_str()), (401, "Unauthorized"), "{closed}");
    }
    assert_eq!(rig.ask("POST", "/version", None).await.0, 405);
    assert!(rig.stub.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_head_is_answered_without_a_body_whatever_the_answer() {
    let rig = rig();
    for (path, code) in [
        ("/healthz", 200),
        ("/version", 405),
        ("/nope", 405),
        ("/api/v1/configmaps", 405),
    ] {
        assert_eq!(
            rig.ask("HEAD", path, admin()).await,
            (code, String::new()),
            "{path}"
        );
    }
    assert_eq!(rig.ask("HEAD", "/api", None).await, (401, String::new()));
}

#[tokio::test]
async fn who_may_not_is_told_in_the_words_of_the_real_server() {
    let rig = rig();
    let (code, body) = rig.ask("GET", "/api/v1/namespaces/default/secrets", jane()).await;
    assert_eq!(code, 403);
    assert_eq!(
        message(&body),
        "secrets is forbidden: User \"jane\" cannot list resource \"secrets\" in API group \"\" in the namespace \"default\""
    );
    let (_, body) = rig.ask("DELETE", "/apis/apps/v1/deployments/x", jane()).await;
    assert_eq!(
        message(&body),
        "deployments.apps \"x\" is forbidden: User \"jane\" cannot delete resource \"deployments\" in API group \"apps\" at the cluster scope"
    );
    let (_, body) = rig.ask("GET", "/metrics", jane()).await;
    assert_eq!(
        message(&body),
        "forbidden: User \"jane\" cannot get path \"/metrics\""
    );
    assert!(rig.stub.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_unknown_path_is_404_in_text_and_an_unknown_method_405() {
    let rig = rig();
    assert_eq!(
        rig.ask("GET", "/nope", admin()).await,
        (404, "404 page not found\n".to_owned())
    );
    for (method, uri) in [
        ("BREW", "/api/v1/secrets"),
        ("OPTIONS", "/api/v1/secrets"),
        ("PUT", "/api"),
    ] {
        let (code, body) = rig.ask(method, uri, admin()).await;
        assert_eq!(code, 405, "{method} {uri}");
        assert_eq!(
            message(&body),
            "the server does not allow this method on the requested resource"
        );
    }
}

#[tokio::test]
async fn a_request_that_acts_as_somebody_has_only_his_rights() {
    let rig = rig();
    let mut asked = request("GET", "/api/v1/secrets", admin(), "");
    asked
        .headers_mut()
        .insert("impersonate-user", "jane".parse().unwrap());
    let (code, body) = text(rig.send(asked).await).await;
    assert_eq!(code, 403);
    assert!(message(&body).contains("User \"jane\" cannot list"));
}

#[tokio::test]
async fn a_body_of_three_mebibytes_passes_and_one_byte_more_is_413() {
    let rig = rig();
    let limit = super::body::LIMIT;
    let fits = rig
        .send(request("POST", "/api/v1/xs", admin(), vec![b'a'; limit]))
        .await;
    assert_eq!(text(fits).await.0, 200);
    let over = rig
        .send(request("POST", "/api/v1/xs", admin(), vec![b'a'; limit + 1]))
        .await;
    let (code, body) = text(over).await;
    assert_eq!(
        (code, message(&body).as_str()),
        (413, "Request entity too large: limit is 3145728")
    );
    let mut lies = request("POST", "/api/v1/xs", admin(), "a");
    lies.headers_mut()
        .insert("content-length", "99999999999".parse().unwrap());
    assert_eq!(text(rig.send(lies).await).await.0, 413);
    assert_eq!(rig.stub.seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_next_request_is_answered() {
    let rig = rig();
    let (code, body) = rig.ask("GET", "/api/v1/panics", admin()).await;
    assert_eq!(code, 500);
    assert!(message(&body).starts_with("Internal error occurred: "));
    let (code, body) = rig.ask("GET", "/api/v1/bomb?watch=true", admin()).await;
    assert_eq!((code, body.as_str()), (200, ""));
    for _ in 0..10 {
        assert_eq!(
            rig.ask("GET", "/api/v1/panics", admin()).await.0,
            500,
            "permits come back"
        );
    }
    assert_eq!(rig.ask("GET", "/api/v1/xs", admin()).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn what_takes_too_long_is_504_but_a_watch_may() {
    let rig = rig();
    let (code, body) = rig.ask("GET", "/api/v1/never", admin()).await;
    assert_eq!(code, 504);
    assert_eq!(
        message(&body),
        "Timeout: request did not complete within the allotted timeout"
    );
    let watch = rig.ask("GET", "/api/v1/never?watch=true", admin());
    assert!(
        tokio::time::timeout(Duration::from_secs(3600), watch)
            .await
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_is_504_also_for_a_watch() {
    let rig = rig();
    for (method, uri) in [("POST", "/api/v1/things"), ("GET", "/api/v1/silent?watch=true")] {
        let never = StreamBody::new(futures::stream::pending::<Quiet>());
        let (mut parts, _) = request(method, uri, admin(), "").into_parts();
        parts
            .headers
            .insert("content-length", http::HeaderValue::from_static("5"));
        let Ok(answer) = rig.handler.clone().call(Request::from_parts(parts, never)).await;
        assert_eq!(answer.status(), 504, "{method} {uri}");
    }
    assert!(rig.stub.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn too_many_at_once_are_told_to_come_again_and_watches_and_the_inside_are_not() {
    let rig = rig();
    let waiting = tokio::spawn(
        rig.handler
            .clone()
            .call(request("POST", "/api/v1/waits", admin(), "")),
    );
    while rig.stub.seen.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let refused = rig.send(request("POST", "/api/v1/xs", admin(), "")).await;
    assert_eq!(refused.headers()["retry-after"], "1");
    let (code, body) = text(refused).await;
    assert_eq!(
        (code, message(&body).as_str()),
        (429, "Too many requests, please try again later.")
    );
    assert_eq!(
        rig.ask("GET", "/api/v1/xs", admin()).await.0,
        200,
        "reads have a lane of their own"
    );
    let inside =
        rig.handler
            .acting_as(User::master("controllers"))
            .call(request("POST", "/api/v1/xs", None, ""));
    let Ok(answer) = inside.await;
    assert_eq!(answer.status(), 200);
    rig.stub.go.notify_one();
    let Ok(answer) = waiting.await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(rig.ask("POST", "/api/v1/xs", admin()).await.0, 200);
}

#[tokio::test]
async fn a_watch_ends_when_the_server_stops_and_is_counted_until_then() {
    let rig = rig();
    let watch = rig
        .send(request("GET", "/api/v1/silent?watch=1", admin(), ""))
        .await;
    assert!(rig.metrics.text().contains("supercargo_apiserver_watchers 1\n"));
    let reading = tokio::spawn(text(watch));
    rig.stop.send_replace(true);
    assert_eq!(reading.await.unwrap(), (200, String::new()));
    assert!(rig.metrics.text().contains("supercargo_apiserver_watchers 0\n"));
    assert_eq!(
        rig.ask("POST", "/api/v1/xs", admin()).await.0,
        503,
        "nothing is written after the stop"
    );
}

#[tokio::test]
async fn every_answer_has_an_audit_id_and_is_not_cached() {
    let rig = rig();
    for uri in ["/healthz", "/api/v1/xs", "/nope"] {
        let answer = rig.send(request("GET", uri, admin(), "")).await;
        assert_eq!(answer.headers()["cache-control"], "no-cache, private", "{uri}");
        assert_eq!(answer.headers()["audit-id"].len(), 36);
    }
    let mut given = request("GET", "/nope", None, "");
    given.headers_mut().insert("audit-id", "mine".parse().unwrap());
    assert_eq!(rig.send(given).await.headers()["audit-id"], "mine");
}

#[tokio::test]
async fn requests_are_counted_by_a_closed_set_of_verbs() {
    let rig = rig();
    rig.ask("GET", "/api/v1/xs", admin()).await;
    rig.ask("GET", "/nope", None).await;
    rig.ask("BREW", "/nope", admin()).await;
    let text = rig.metrics.text();
    for line in [
        "supercargo_apiserver_requests_total{verb=\"list\",code=\"200\"} 1",
        "supercargo_apiserver_requests_total{verb=\"get\",code=\"401\"} 1",
        "supercargo_apiserver_requests_total{verb=\"other\",code=\"405\"} 1",
        "supercargo_apiserver_request_duration_seconds_count 3",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn a_path_that_is_no_text_is_a_status_and_not_a_500() {
    let rig = rig();
    for uri in [
        "/api/v1/namespaces/%ff%fe/secrets",
        "/api/v1/%00",
        "/api//v1",
        "/apis/%zz",
        "//",
        "/api/v1/namespaces/a/b/c/d/e/f",
    ] {
        let (code, _) = rig.ask("GET", uri, admin()).await;
        assert!(code < 500, "{uri}: {code}");
    }
}
