//! Asks another name server on somebody's behalf and passes its answer on unread. Every question has an id and a source
//! port of its own, an answer must fit both and repeat the question, and a question of ours that comes back to us is
//! recognized. Owns that and the time limit; how many wait at once is the server's.

use std::{
    collections::BTreeSet,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use super::{
    framed,
    message::{self, Query, REFUSED, SERVFAIL, Transport},
};

/// Docker's resolver gives up after 4 s and asks the next server in its list only if it has an answer before.
const PATIENCE: Duration = Duration::from_millis(3_500);

/// A question that is under way: its id, and what is asked.
type Underway = (u16, Vec<u8>);

/// See the file's header.
pub(super) struct Upstream {
    address: SocketAddr,
    underway: Mutex<BTreeSet<Underway>>,
}

/// Takes a question off the list, however it ends.
struct Ending<'a>(&'a Upstream, Underway);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.with(|underway| underway.remove(&self.1));
    }
}

impl Upstream {
    pub(super) const fn new(address: SocketAddr) -> Self {
        Self {
            address,
            underway: Mutex::new(BTreeSet::new()),
        }
    }

    /// The answer of upstream, under the asker's id, or a refusal where there is none.
    pub(super) async fn ask(&self, query: &Query, packet: &[u8], transport: Transport) -> Vec<u8> {
        let question = query.question.to_ascii_lowercase();
        // Forwarders keep the id, so this is our own: upstream asks us, and would for ever.
        if self.with(|underway| underway.contains(&(query.id, question.clone()))) {
            return query.refuse(REFUSED);
        }
        let Ok(id) = getrandom::u32().map(|number| number as u16) else {
            return query.refuse(SERVFAIL);
        };
        let underway = (id, question);
        self.with(|all| all.insert(underway.clone()));
        let _ending = Ending(self, underway);
        let packet = message::with_id(packet, id);
        let limit = query.limit(transport);
        let asked = async {
            match transport {
                Transport::Udp => self.datagram(&packet, id, query, limit).await,
                Transport::Tcp => self.connection(&packet, id, query).await,
            }
        };
        match timeout(PATIENCE, asked).await {
            Ok(Ok(answer)) if answer.len() > limit => query.truncated(),
            Ok(Ok(answer)) => message::with_id(&answer, query.id),
            Ok(Err(_)) | Err(_) => query.refuse(SERVFAIL),
        }
    }

    async fn datagram(&self, packet: &[u8], id: u16, query: &Query, limit: usize) -> io::Result<Vec<u8>> {
        let any: SocketAddr = match self.address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any).await?;
        // A connected socket takes nothing from anybody else.
        socket.connect(self.address).await?;
        socket.send(packet).await?;
        loop {
            // That nobody listens there comes as an error alone.
            let ready = socket.ready(Interest::READABLE | Interest::ERROR).await?;
            if ready.is_error() {
                return Err(socket.take_error()?.unwrap_or(io::ErrorKind::Other.into()));
            }
            let mut answer = vec![0; limit + 1];
            match socket.try_recv(&mut answer) {
                Ok(length) => answer.truncate(length),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            }
            if message::answers(&answer, id, &query.question) {
                return Ok(answer);
            }
        }
    }

    async fn connection(&self, packet: &[u8], id: u16, query: &Query) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(&framed(packet)).await?;
        let length = stream.read_u16().await?;
        let mut answer = vec![0; length.into()];
        stream.read_exact(&mut answer).await?;
        if message::answers(&answer, id, &query.question) {
            Ok(answer)
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeSet<Underway>) -> T) -> T {
        work(&mut self.underway.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
