//! The socket: accepts on loopback, makes TLS and HTTP of it, and gives each request its user. Owns the limits of a
//! connection and how all of them end when the server stops. What a request means is `handler`'s.
//! Called by `cli` with a handler and certificates.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use http::Request;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tower::Service;

use super::{
    handler::Handler,
    identity,
    stall::{FIRST_BYTES, Stall, UNREAD},
    tls::Tls,
};
use crate::apiserver::authorize::User;

/// Connections at the same time. Clients use one or two each.
const CONNECTIONS: usize = 2_000;
/// Streams of one h2 connection at the same time, as `--http2-max-streams-per-connection` of a Kubernetes API server.
const STREAMS: u32 = 1_000;
/// Headers of one request, in bytes.
const HEADERS: u32 = 64 * 1024;
/// How long the headers of a request of http/1.1 may take, and how long its connection may idle.
const HEADER_TIME: Duration = Duration::from_secs(90);
/// How long connections get to end by themselves when the server stops.
const FAREWELL: Duration = Duration::from_millis(500);

/// It cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Off loopback.
    #[error(
        "{0} is not an address of this machine only: until there are users and roles, the API listens on loopback; give 127.0.0.1:PORT or [::1]:PORT, and reach it from elsewhere through ssh -L"
    )]
    OffLoopback(SocketAddr),
    /// The system refused.
    #[error("cannot listen on {address}; choose another --listen, or stop what listens there")]
    System {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A socket that is bound.
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds `address`; port 0 takes any.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn bind(address: SocketAddr) -> Result<Self, ListenError> {
        if !address.ip().is_loopback() {
            return Err(ListenError::OffLoopback(address));
        }
        let bind = || {
            let socket = match address {
                SocketAddr::V4(_) => TcpSocket::new_v4()?,
                SocketAddr::V6(_) => TcpSocket::new_v6()?,
            };
            socket.set_reuseaddr(true)?;
            // Linux gives both to what is accepted.
            socket.set_keepalive(true)?;
            socket.set_nodelay(true)?;
            socket.bind(address)?;
            let tcp = socket.listen(1_024)?;
            let address = tcp.local_addr()?;
            Ok(Self { tcp, address })
        };
        bind().map_err(|source| ListenError::System { address, source })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until told to stop, and then until all connections have ended, which takes less than a second.
    pub async fn serve(self, tls: Tls, handler: Handler, mut stop: watch::Receiver<bool>) {
        let acceptor = TlsAcceptor::from(Arc::clone(&tls.config));
        let mut connections = JoinSet::new();
        let stopped = stop.clone();
        let mut told = pin!(async move {
            let _gone_is_stopped = stop.wait_for(|stop| *stop).await;
        });
        loop {
            tokio::select! {
                () = &mut told => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = self.tcp.accept(), if connections.len() < CONNECTIONS => match accepted {
                    Ok((stream, _)) => {
                        let work = connection(stream, acceptor.clone(), handler.clone(), stopped.clone());
                        connections.spawn(work);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        // No file descriptors: nothing changes until some connection ends.
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
            }
        }
        drop(self.tcp);
        let all = async { while connections.join_next().await.is_some() {} };
        if timeout(FAREWELL, all).await.is_err() {
            connections.shutdown().await;
        }
    }
}

type Stream = TlsStream<Stall<TcpStream>>;

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, handler: Handler, stop: watch::Receiver<bool>) {
    let stream = Stall::new(stream, FIRST_BYTES, UNREAD);
    let mut until = stop.clone();
    let accepted = tokio::select! {
        accepted = timeout(FIRST_BYTES, acceptor.accept(stream)) => accepted,
        _ = until.wait_for(|stop| *stop) => return,
    };
    let stream = match accepted {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "no TLS with a client");
            return;
        }
        Err(_) => return,
    };
    let (_, session) = stream.get_ref();
    let user = match session.peer_certificates().and_then(<[_]>::first) {
        Some(certificate) => identity::holder(certificate),
        None => None,
    };
    let user = Arc::new(user.unwrap_or_else(identity::anonymous));
    let h2 = session.alpn_protocol() == Some(b"h2");
    let outcome = if h2 {
        speak_h2(stream, handler, user, stop).await
    } else {
        speak_http1(stream, handler, user, stop).await
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection ended");
    }
}

async fn speak_h2(
    stream: Stream,
    handler: Handler,
    user: Arc<User>,
    mut stop: watch::Receiver<bool>,
) -> hyper::Result<()> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADERS)
        .max_send_buf_size(256 * 1024)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    let service = service_fn(move |request| answer(&handler, &user, request));
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        outcome = connection.as_mut() => return outcome,
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

async fn speak_http1(
    stream: Stream,
    handler: Handler,
    user: Arc<User>,
    mut stop: watch::Receiver<bool>,
) -> hyper::Result<()> {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEADERS as usize);
    let service = service_fn(move |request| answer(&handler, &user, request));
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        outcome = connection.as_mut() => return outcome,
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

fn answer(
    handler: &Handler,
    user: &Arc<User>,
    mut request: Request<Incoming>,
) -> <Handler as Service<Request<Incoming>>>::Future {
    request.extensions_mut().insert(Arc::clone(user));
    handler.clone().call(request)
}
