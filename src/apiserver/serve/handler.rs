//! One request from its first header to the last of its answer: who asks, whether he may, how much at once, for how long,
//! and that a mistake of ours ends this request only. Owns the order of these; what answers is `routes`, who is on the
//! other side of a connection is `listener`'s. A tower service, so that a client in this process needs no socket.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header, request::Parts};
use hyper::body::Body as HttpBody;
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use super::{
    attributes, body,
    health::{self, Check},
    identity, impersonate,
    routes::Routes,
};
use crate::{
    apiserver::{
        authorize::{Attributes, Decision, PUBLIC, SharedAuthorizer, User},
        names::GroupResource,
        request::{self, Path},
        response::{self, Response},
        status::{Result, Status},
    },
    telemetry::metrics::Metrics,
};

/// Requests that only read, at the same time, as `--max-requests-inflight` of a Kubernetes API server.
pub const READS: usize = 400;
/// Requests that write, at the same time.
pub const WRITES: usize = 200;
/// How long anything but a watch may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

/// What all requests share.
pub(super) struct Shared {
    pub(super) routes: Arc<dyn Routes>,
    pub(super) authorizer: SharedAuthorizer,
    pub(super) checks: Vec<Check>,
    pub(super) metrics: Metrics,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) patience: Duration,
    pub(super) reads: Semaphore,
    pub(super) writes: Semaphore,
}

/// Answers requests. Cloning shares everything.
#[derive(Clone)]
pub struct Handler {
    shared: Arc<Shared>,
    /// As whom requests run that carry no [`User`] extension: somebody in this process.
    inside: Option<Arc<User>>,
}

impl Handler {
    pub(super) fn new(shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
            inside: None,
        }
    }

    /// For a client in this process that is `user`. It bounds itself, so that it is never told to come again later.
    #[must_use]
    pub fn acting_as(&self, user: User) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            inside: Some(Arc::new(user)),
        }
    }

    async fn respond<B>(self, request: Request<B>) -> Response
    where
        B: HttpBody<Data = Bytes>,
    {
        let started = Instant::now();
        let (parts, body) = request.into_parts();
        let audit = audit_id(&parts.headers);
        let watch = attributes::is_watch(&parts.method, parts.uri.query().unwrap_or_default());
        let head = parts.method == Method::HEAD;
        let path = request::path(parts.uri.path());
        let asked = path
            .as_ref()
            .map(|path| attributes::of(&parts.method, path, watch));
        let verb = asked.as_ref().map_or("invalid", |asked| word(asked));
        let work = AssertUnwindSafe(self.answer(parts, body, path, watch)).catch_unwind();
        let answer = if watch {
            Ok(work.await)
        } else {
            tokio::time::timeout(self.shared.patience, work).await
        };
        let mut answer = match answer {
            Ok(Ok(Ok(answer))) => answer,
            Ok(Ok(Err(status))) => response::refusal(&status),
            Ok(Err(_)) => {
                tracing::error!(
                    verb,
                    "a request panicked; it is answered with 500, please report it"
                );
                response::refusal(&Status::internal(
                    "the request made this server panic; its log says where",
                ))
            }
            Err(_) => response::refusal(&late()),
        };
        let headers = answer.headers_mut();
        headers.insert(AUDIT_ID, audit);
        headers
            .entry(header::CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-cache, private"));
        let code = answer.status().as_u16();
        self.shared
            .metrics
            .apiserver_request(verb, code, started.elapsed());
        if watch && code == 200 {
            let (stop, metrics) = (self.shared.stop.clone(), self.shared.metrics.clone());
            return answer.map(|inner| body::watching(inner, stop, metrics));
        }
        // Over HTTP/2 nobody below leaves it out, and a client may end the connection for it.
        if head {
            response::headers_only(answer)
        } else {
            answer
        }
    }

    async fn answer<B>(&self, parts: Parts, body: B, path: Result<Path>, watch: bool) -> Result<Response>
    where
        B: HttpBody<Data = Bytes>,
    {
        let shared = &*self.shared;
        let plain = parts.uri.path();
        let user = self.user(&parts);
        if user.name == identity::ANONYMOUS && !PUBLIC.contains(&plain) {
            return Err(Status::unauthorized());
        }
        let health = health::respond(&shared.checks, plain, parts.uri.query().unwrap_or_default());
        if let Some(answer) = health {
            return Ok(answer);
        }
        let _permit = self.admit(&parts.method, watch)?;
        let user = impersonate::acting(user, &parts.headers, &*shared.authorizer)?;
        let path = path?;
        if !PUBLIC.contains(&plain) {
            allowed(
                &*shared.authorizer,
                &user,
                &attributes::of(&parts.method, &path, watch),
            )?;
        }
        if !attributes::is_known(&parts.method) {
            return Err(Status::no_such_method());
        }
        match path {
            Path::Resource(path) => {
                // A watch has no deadline but this one.
                let body = tokio::time::timeout(shared.patience, body::read(&parts.headers, body));
                let body = body.await.unwrap_or_else(|_| Err(late()))?;
                Ok(shared.routes.resource(user, path, parts, body).await)
            }
            Path::Other(path) if parts.method == Method::GET => Ok(shared.routes.other(&path, &parts)),
            Path::Other(_) => Err(Status::no_such_method()),
        }
    }

    fn user(&self, parts: &Parts) -> User {
        match (&self.inside, parts.extensions.get::<Arc<User>>()) {
            (_, Some(user)) => User::clone(user),
            (Some(inside), None) => User::clone(inside),
            (None, None) => identity::anonymous(),
        }
    }

    /// One of those that may work now, unless it is a watch, which only waits, or comes from within.
    fn admit(&self, method: &Method, watch: bool) -> Result<Option<SemaphorePermit<'_>>> {
        let shared = &*self.shared;
        if *shared.stop.borrow() {
            return Err(Status::unavailable("the server is stopping"));
        }
        if watch || self.inside.is_some() {
            return Ok(None);
        }
        let lane = if *method == Method::GET {
            &shared.reads
        } else {
            &shared.writes
        };
        let full = || Status::too_many_requests("Too many requests, please try again later.", 1);
        lane.try_acquire().map(Some).map_err(|_| full())
    }
}

impl<B> tower::Service<Request<B>> for Handler
where
    B: HttpBody<Data = Bytes> + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = std::result::Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<std::result::Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let handler = self.clone();
        Box::pin(async move { Ok(handler.respond(request).await) })
    }
}

fn late() -> Status {
    Status::timeout("Timeout: request did not complete within the allotted timeout")
}

fn allowed(
    authorizer: &dyn crate::apiserver::authorize::Authorizer,
    user: &User,
    asked: &Attributes,
) -> Result<()> {
    if matches!(authorizer.decide(user, asked), Decision::Allowed(_)) {
        return Ok(());
    }
    let why = format!("User {:?} {asked}", user.name);
    if asked.resource.is_empty() {
        return Err(Status::forbidden_path(why));
    }
    let of = GroupResource::new(&asked.group, &asked.resource);
    Err(Status::forbidden(&of, &asked.name, why))
}

/// The verb as a metric's label: a closed set, whatever method somebody makes up.
fn word(asked: &Attributes) -> &'static str {
    const VERBS: [&str; 13] = [
        "create",
        "delete",
        "deletecollection",
        "get",
        "head",
        "list",
        "options",
        "patch",
        "post",
        "put",
        "update",
        "watch",
        "other",
    ];
    VERBS.iter().find(|verb| **verb == asked.verb).unwrap_or(&"other")
}

/// The client's, else a new one.
fn audit_id(headers: &HeaderMap) -> HeaderValue {
    if let Some(given) = headers.get(&AUDIT_ID)
        && !given.is_empty()
        && given.len() <= 64
    {
        return given.clone();
    }
    let mut bytes = [0; 16];
    // Without randomness it is all zeros: it is only for finding a request in a log.
    let _zeros_will_do = getrandom::fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}
