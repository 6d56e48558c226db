//! The socket of the webhooks: TLS 1.2 and 1.3 with the certificate of the moment, http/1.1, which is what API servers
//! speak to webhooks, one path. Owns the limits of a connection and of a body, and what is answered when there is no
//! review to answer. A review itself is `answer`'s.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::{ServerConfig, crypto::ring, server::ResolvesServerCert};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{answer::Answerer, lookup::Lookup};
use crate::{admission::configuration::PATH, tls::serving::Serving};

/// The largest body: a review has an object and its predecessor, and etcd takes 1.5 MiB of each.
pub(super) const LIMIT: usize = 3 * 1024 * 1024;
/// Connections at the same time. API servers use a few each.
const CONNECTIONS: usize = 256;
/// Headers of one request, in bytes.
const HEADERS: usize = 64 * 1024;
/// How long a handshake, and the body of a request with its answer, may take. API servers wait for at most 30 s.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a connection may idle.
const IDLE: Duration = Duration::from_secs(120);
/// How long connections get to end by themselves.
const FAREWELL: Duration = Duration::from_millis(500);

/// A socket and what answers on it.
pub(super) struct Server<L> {
    listener: TcpListener,
    serving: Arc<Serving>,
    answerer: Arc<Answerer<L>>,
}

impl<L: Lookup> Server<L> {
    pub(super) fn new(listener: TcpListener, serving: Arc<Serving>, answerer: Answerer<L>) -> Self {
        Self {
            listener,
            serving,
            answerer: Arc::new(answerer),
        }
    }

    pub(super) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until told to stop, and then until all connections have ended, which takes less than a second.
    pub(super) async fn serve(self, mut stop: watch::Receiver<bool>) {
        let acceptor = match acceptor(self.serving) {
            Ok(acceptor) => acceptor,
            Err(error) => return tracing::error!(%error, "the webhooks cannot speak TLS"),
        };
        let stopped = stop.clone();
        let mut told = pin!(async move {
            let _gone_is_stopped = stop.wait_for(|stop| *stop).await;
        });
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = &mut told => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = self.listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                    Ok((stream, _)) => {
                        let answerer = Arc::clone(&self.answerer);
                        connections.spawn(connection(stream, acceptor.clone(), answerer, stopped.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection to the webhooks could not be accepted");
                        // No file descriptors: nothing changes until some connection ends.
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
            }
        }
        drop(self.listener);
        let all = async { while connections.join_next().await.is_some() {} };
        if timeout(FAREWELL, all).await.is_err() {
            connections.shutdown().await;
        }
    }
}

fn acceptor(serving: Arc<Serving>) -> Result<TlsAcceptor, rustls::Error> {
    let resolver: Arc<dyn ResolvesServerCert> = serving;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn connection<L: Lookup>(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    answerer: Arc<Answerer<L>>,
    mut stop: watch::Receiver<bool>,
) {
    let accepted = tokio::select! {
        accepted = timeout(PATIENCE, acceptor.accept(stream)) => accepted,
        _ = stop.wait_for(|stop| *stop) => return,
    };
    let stream = match accepted {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "no TLS with a client of the webhooks"),
        Err(_) => return,
    };
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(HEADERS);
    let service = service_fn(move |request| {
        let answerer = Arc::clone(&answerer);
        async move { Ok::<_, Infallible>(respond(&answerer, request).await) }
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        outcome = connection.as_mut() => Some(outcome),
        _ = stop.wait_for(|stop| *stop) => None,
    };
    let outcome = match ended {
        Some(outcome) => outcome,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection to the webhooks ended");
    }
}

async fn respond<L: Lookup>(answerer: &Answerer<L>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if request.uri().path() != PATH {
        return text(StatusCode::NOT_FOUND, format!("reviews are answered at {PATH}"));
    }
    if request.method() != Method::POST {
        let mut response = text(
            StatusCode::METHOD_NOT_ALLOWED,
            "reviews are sent by POST".to_owned(),
        );
        let post = header::HeaderValue::from_static("POST");
        response.headers_mut().insert(header::ALLOW, post);
        return response;
    }
    let work = async {
        let body = match Limited::new(request.into_body(), LIMIT).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                let why = format!("a review of more than {LIMIT} bytes is not read");
                return text(StatusCode::PAYLOAD_TOO_LARGE, why);
            }
            Err(_) => return text(StatusCode::BAD_REQUEST, "the body broke off".to_owned()),
        };
        match answerer.answer(&body).await {
            Ok(review) => {
                let mut response = Response::new(Full::new(Bytes::from(review.to_string())));
                let json = header::HeaderValue::from_static("application/json");
                response.headers_mut().insert(header::CONTENT_TYPE, json);
                response
            }
            Err(failed) => text(failed.code(), failed.to_string()),
        }
    };
    match timeout(PATIENCE, work).await {
        Ok(response) => response,
        Err(_) => text(
            StatusCode::GATEWAY_TIMEOUT,
            format!("no answer within {} s", PATIENCE.as_secs()),
        ),
    }
}

fn text(code: StatusCode, why: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(why + "\n")));
    *response.status_mut() = code;
    let plain = header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
