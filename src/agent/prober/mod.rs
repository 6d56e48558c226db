//! Puts the questions of http and tcp probes: one connection to the replica's own address, within the time that the probe
//! gives it, and an answer in words for people. Owns the connection and how many are open at once; what follows from an
//! answer is [`super::ladder`]'s, when to ask `desk`'s. No cookie, no redirect, no proxy, no name to look up.
//!
//! A message says what was asked and which status came back. It never repeats anything else of an answer, nor the query
//! of the path or a header: these may hold a secret.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
    time::Duration,
};

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use self::http::Head;
use super::roster::Question;
use crate::state::probe::Check;

pub mod http;
mod trusting;

/// Questions under way. One that hangs keeps its place for its timeout, which delays others once all do.
const AT_ONCE: usize = 256;
/// What is read at a time.
const CHUNK: usize = 1024;
/// How much of a body is taken, so that the server can send it and does not see its connection break.
const BODY: usize = 10 << 10;
/// For how long.
const LINGER: Duration = Duration::from_millis(500);

/// Puts questions.
pub struct Prober {
    turns: Semaphore,
    /// Made when the first needs it.
    tls: OnceLock<TlsConnector>,
}

impl Default for Prober {
    fn default() -> Self {
        Self {
            turns: Semaphore::new(AT_ONCE),
            tls: OnceLock::new(),
        }
    }
}

impl Prober {
    /// Waits until one more question may be under way.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.turns.acquire().await.ok()
    }

    /// Puts a question.
    ///
    /// # Errors
    /// Why the answer is no.
    pub async fn ask(&self, question: Question) -> Result<(), String> {
        let Question {
            address,
            check,
            patience,
        } = question;
        let (said, subject) = match &check {
            Check::Tcp { port } => (
                timeout(patience, connect(address, *port))
                    .await
                    .map(|opened| opened.map(|_| ())),
                format!("connect to port {port}"),
            ),
            Check::Http { port, path, .. } => {
                let subject = format!("GET {} on port {port}", without_query(path));
                match timeout(patience, self.get(address, &check)).await {
                    Ok(Ok(200..400)) => (Ok(Ok(())), subject),
                    Ok(Ok(status)) => return Err(format!("{subject} answered {status}")),
                    Ok(Err(error)) => (Ok(Err(error)), subject),
                    Err(elapsed) => (Err(elapsed), subject),
                }
            }
            Check::Exec { .. } => return Err("a command cannot be asked from here".to_owned()),
        };
        match said {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("{subject}: {}", reason(&error))),
            Err(_) => Err(format!("{subject}: no answer within {} s", patience.as_secs())),
        }
    }

    /// The status that came back.
    async fn get(&self, address: IpAddr, check: &Check) -> io::Result<u16> {
        let Check::Http {
            tls,
            port,
            path,
            headers,
        } = check
        else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let request = http::request(SocketAddr::new(address, *port), path, headers)
            .map_err(|message| io::Error::new(io::ErrorKind::InvalidInput, message))?;
        let stream = connect(address, *port).await?;
        if !*tls {
            return speak(stream, &request).await;
        }
        let connector = match self.tls.get() {
            Some(known) => known,
            None => {
                let config = trusting::config().map_err(io::Error::other)?;
                self.tls.get_or_init(|| TlsConnector::from(Arc::new(config)))
            }
        };
        let name = ServerName::IpAddress(address.into());
        speak(Box::new(connector.connect(name, stream).await?), &request).await
    }
}

async fn connect(address: IpAddr, port: u16) -> io::Result<TcpStream> {
    TcpStream::connect((address, port)).await
}

/// Sends the request and reads until the head of the answer is there.
async fn speak<S>(mut stream: S, request: &[u8]) -> io::Result<u16>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    stream.write_all(request).await?;
    stream.flush().await?;
    let mut head = Head::default();
    let mut chunk = [0; CHUNK];
    loop {
        let length = stream.read(&mut chunk).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let status = head
            .feed(&chunk[..length])
            .map_err(|message| io::Error::new(io::ErrorKind::InvalidData, message))?;
        if let Some(status) = status {
            tokio::spawn(drain(stream));
            return Ok(status);
        }
    }
}

/// Takes the rest of an answer: to close on a server that still sends is an error in its log.
async fn drain<S: AsyncRead + Unpin>(mut stream: S) {
    let rest = async {
        let (mut chunk, mut taken) = ([0; CHUNK], 0);
        while taken < BODY {
            match stream.read(&mut chunk).await {
                Ok(length @ 1..) => taken += length,
                Ok(0) | Err(_) => break,
            }
        }
    };
    let _in_time = timeout(LINGER, rest).await;
}

fn without_query(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}

/// In words, without the number of the operating system's.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the connection was closed without an answer".to_owned(),
        // These are ours, or rustls' about what the other side has sent.
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => error.to_string(),
        kind => kind.to_string(),
    }
}
