//! The name server: answers for deployments from the roster, with a time to live of 0 and the addresses in another order
//! each time, and has everything else asked upstream. Owns its two listening sockets and what may be under way on them;
//! what a name is decides the roster, how a message looks [`message`]. Run by [`super::serve`].
//!
//! A deployment of which nothing is ready answers that the name exists and has no address, with authority and without an
//! SOA, as cluster DNS does for a headless service: nobody caches that, Docker's resolver asks no other server (as it
//! would after SERVFAIL or REFUSED, and another server does not know the name), and musl does not wait.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::Semaphore,
    time::{Instant, timeout, timeout_at},
};

use self::{
    message::{Query, Refusal, SERVFAIL, Transport},
    upstream::Upstream,
};
use super::{desk::Desk, roster::Found};

pub mod message;
mod upstream;

/// Questions that wait for somebody; more are refused at once.
const WAITING: usize = 256;
/// Open connections; more are closed at once.
const CONNECTIONS: usize = 64;
/// How long a connection may say nothing, or take nothing.
const IDLE: Duration = Duration::from_secs(10);
/// No question is longer.
const LONGEST_QUESTION: usize = 4096;
/// How long a name that may be ours waits to be told. Within the 4 s after which Docker's resolver gives up.
const TOLD_WITHIN: Duration = Duration::from_secs(3);

/// What to do with a packet.
enum Turn {
    Answer(Vec<u8>),
    Ignore,
    Wait(Query),
}

/// See the file's header.
pub(super) struct Server {
    udp: UdpSocket,
    tcp: TcpListener,
    work: Arc<Work>,
}

/// What all questions share.
struct Work {
    desk: Arc<Desk>,
    upstream: Upstream,
    waiting: Arc<Semaphore>,
    dice: AtomicU64,
}

impl Server {
    /// Binds both sockets to one address.
    pub(super) async fn bind(address: SocketAddr, upstream: SocketAddr, desk: Arc<Desk>) -> io::Result<Self> {
        let tcp = TcpListener::bind(address).await?;
        let udp = UdpSocket::bind(tcp.local_addr()?).await?;
        Ok(Self {
            udp,
            tcp,
            work: Arc::new(Work {
                desk,
                upstream: Upstream::new(upstream),
                waiting: Arc::new(Semaphore::new(WAITING)),
                // Only spreads load, so a start that is always the same does no harm where there is no randomness.
                dice: AtomicU64::new(getrandom::u64().unwrap_or_default() | 1),
            }),
        })
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.udp.local_addr()
    }

    pub(super) async fn run(self) {
        let Self { udp, tcp, work } = self;
        tokio::join!(
            datagrams(Arc::new(udp), Arc::clone(&work)),
            connections(tcp, work)
        );
    }
}

async fn datagrams(udp: Arc<UdpSocket>, work: Arc<Work>) {
    let mut buffer = vec![0; LONGEST_QUESTION];
    loop {
        let (length, from) = match udp.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                pause("a question cannot be received", &error).await;
                continue;
            }
        };
        match work.look(&buffer[..length], Transport::Udp) {
            Turn::Ignore => {}
            // Where there is no room to send, the asker asks again. An answer that waited could be an old one.
            Turn::Answer(answer) => drop(udp.try_send_to(&answer, from)),
            Turn::Wait(query) => match Arc::clone(&work.waiting).try_acquire_owned() {
                Err(_) => drop(udp.try_send_to(&query.refuse(SERVFAIL), from)),
                Ok(place) => {
                    let (packet, udp, work) =
                        (buffer[..length].to_vec(), Arc::clone(&udp), Arc::clone(&work));
                    tokio::spawn(async move {
                        let answer = work.wait(&query, &packet, Transport::Udp).await;
                        drop(udp.try_send_to(&answer, from));
                        drop(place);
                    });
                }
            },
        }
    }
}

async fn connections(tcp: TcpListener, work: Arc<Work>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        match (tcp.accept().await, Arc::clone(&places).try_acquire_owned()) {
            (Ok((stream, _)), Ok(place)) => {
                let work = Arc::clone(&work);
                tokio::spawn(async move {
                    // Whatever ends it, the asker sees that it has ended.
                    let _ended = converse(stream, &work).await;
                    drop(place);
                });
            }
            (Ok(_), Err(_)) => {}
            (Err(error), _) => pause("a connection cannot be accepted", &error).await,
        }
    }
}

/// Out of descriptors or memory: both come back as questions end.
async fn pause(what: &str, error: &io::Error) {
    tracing::warn!(%error, "{what}");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// Answers what comes over one connection, one after another.
async fn converse(mut stream: TcpStream, work: &Arc<Work>) -> io::Result<()> {
    loop {
        let length = timeout(IDLE, stream.read_u16()).await??.into();
        if length > LONGEST_QUESTION {
            return Ok(());
        }
        let mut packet = vec![0; length];
        timeout(IDLE, stream.read_exact(&mut packet)).await??;
        let answer = match work.look(&packet, Transport::Tcp) {
            Turn::Ignore => return Ok(()),
            Turn::Answer(answer) => answer,
            Turn::Wait(query) => match work.waiting.try_acquire() {
                Err(_) => query.refuse(SERVFAIL),
                Ok(_place) => work.wait(&query, &packet, Transport::Tcp).await,
            },
        };
        timeout(IDLE, stream.write_all(&framed(&answer))).await??;
    }
}

/// Behind its length, as messages travel over TCP.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    let mut frame = Vec::with_capacity(2 + message.len());
    frame.extend(length.to_be_bytes());
    frame.extend(&message[..length.into()]);
    frame
}

impl Work {
    /// What can be said at once is.
    fn look(&self, packet: &[u8], transport: Transport) -> Turn {
        let query = match message::read(packet) {
            Ok(query) => query,
            Err(refusal) => return refused(refusal),
        };
        match self.desk.find(&query.name) {
            Found::Ours(mut addresses) => {
                self.shuffle(&mut addresses);
                Turn::Answer(query.answer(&addresses, transport))
            }
            Found::Foreign | Found::NotYet => Turn::Wait(query),
        }
    }

    /// Waits until it is known what the name is, and for whoever knows it.
    async fn wait(&self, query: &Query, packet: &[u8], transport: Transport) -> Vec<u8> {
        let mut orders = self.desk.orders();
        let deadline = Instant::now() + TOLD_WITHIN;
        loop {
            match self.desk.find(&query.name) {
                Found::Ours(mut addresses) => {
                    self.shuffle(&mut addresses);
                    return query.answer(&addresses, transport);
                }
                Found::Foreign => return self.upstream.ask(query, packet, transport).await,
                // Unknown is not absent: an agent that has just begun must not deny a name that exists.
                Found::NotYet => {
                    if !matches!(timeout_at(deadline, orders.changed()).await, Ok(Ok(()))) {
                        return query.refuse(SERVFAIL);
                    }
                }
            }
        }
    }

    /// So that clients that take the first address spread (Fisher and Yates; the numbers are xorshift64*).
    fn shuffle<T>(&self, items: &mut [T]) {
        let mut state = self.dice.load(Ordering::Relaxed);
        for last in (1..items.len()).rev() {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            let number = state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
            items.swap(last, number as usize % (last + 1));
        }
        self.dice.store(state, Ordering::Relaxed);
    }
}

fn refused(refusal: Refusal) -> Turn {
    refusal.map_or(Turn::Ignore, Turn::Answer)
}
