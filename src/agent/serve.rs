//! Puts the agent together: binds its sockets, and runs name server, sessions and probes on one thread until it is
//! dropped. Owns the list of what is bound; knows no command line and no signals. Called by `cli`.

use std::{
    io,
    net::SocketAddr,
    os::{linux::net::SocketAddrExt, unix::net as unix},
    sync::Arc,
    time::Duration,
};

use tokio::net::UnixListener;

use super::{desk::Desk, dns, session};
use crate::clock::Clock;

/// Where the agent stands.
#[derive(Debug, Clone)]
pub struct Options {
    /// The namespace whose names it answers for.
    pub namespace: String,
    /// Where names are asked for, over UDP and TCP; port 0 is any that is free for both.
    pub dns: SocketAddr,
    /// Who is asked for other names.
    pub upstream: SocketAddr,
    /// The name of the abstract socket of its sessions.
    pub socket: String,
}

/// An agent whose sockets are bound.
pub struct Agent {
    desk: Arc<Desk>,
    dns: dns::Server,
    sessions: UnixListener,
}

impl Agent {
    /// Binds all sockets.
    ///
    /// # Errors
    /// The first that cannot be bound, and which.
    pub async fn bind(options: Options, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let said = |what: String| move |e: io::Error| io::Error::new(e.kind(), format!("{what}: {e}"));
        let address = unix::SocketAddr::from_abstract_name(&options.socket)?;
        let sessions = unix::UnixListener::bind_addr(&address)
            .and_then(|listener| {
                listener.set_nonblocking(true)?;
                UnixListener::from_std(listener)
            })
            .map_err(said(format!("cannot listen for sessions at @{}", options.socket)))?;
        let desk = Desk::new(&options.namespace, clock);
        let dns = dns::Server::bind(options.dns, options.upstream, Arc::clone(&desk))
            .await
            .map_err(said(format!("cannot answer for names at {}", options.dns)))?;
        Ok(Self { desk, dns, sessions })
    }

    /// Where names are asked for.
    ///
    /// # Errors
    /// The socket's.
    pub fn dns_address(&self) -> io::Result<SocketAddr> {
        self.dns.address()
    }

    /// Runs until it is dropped. What it has spawned ends with the runtime.
    pub async fn run(self) {
        let Self { desk, dns, sessions } = self;
        tokio::join!(dns.run(), accept(desk, sessions));
    }
}

async fn accept(desk: Arc<Desk>, sessions: UnixListener) {
    loop {
        match sessions.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(session::serve(Arc::clone(&desk), stream));
            }
            Err(error) => {
                tracing::warn!(%error, "a session cannot be accepted");
                // Out of descriptors: they come back as sessions and questions end.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
