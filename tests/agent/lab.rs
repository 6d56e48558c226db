//! A running agent and everybody who speaks to it: an operator, somebody who looks names up, replicas that answer.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    os::{linux::net::SocketAddrExt, unix::net as unix},
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicU32, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use supercargo::{
    agent::{
        protocol::{Member, Order, Word},
        serve::{Agent, Options},
    },
    clock::{Clock, System},
    state::{
        container::ContainerId,
        probe::{Check, Health, Probe, Probes},
    },
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::{
        TcpListener, TcpStream, UdpSocket, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
    time::timeout,
};

/// Nothing here takes longer; whatever does is broken.
pub const BOUND: Duration = Duration::from_secs(20);

static NUMBER: AtomicU32 = AtomicU32::new(0);

fn number() -> u32 {
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// An address of its own, so that all replicas may have the same port.
pub fn address() -> IpAddr {
    let [_, a, b, c] = number().to_be_bytes();
    IpAddr::from([127, a + 80, b, c.wrapping_add(2)])
}

/// A running agent. It ends with this.
pub struct Lab {
    pub dns: SocketAddr,
    pub socket: String,
    task: JoinHandle<()>,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Lab {
    /// One whose upstream is nobody.
    pub async fn new() -> Self {
        Self::below("127.0.0.1:9".parse().unwrap()).await
    }

    pub async fn below(upstream: SocketAddr) -> Self {
        let options = Options {
            namespace: "shop".to_owned(),
            dns: "127.0.0.1:0".parse().unwrap(),
            upstream,
            socket: format!("supercargo-test-{}-{}", std::process::id(), number()),
        };
        let socket = options.socket.clone();
        let agent = Agent::bind(options, Arc::new(System)).await.unwrap();
        Self {
            dns: agent.dns_address().unwrap(),
            socket,
            task: tokio::spawn(agent.run()),
        }
    }

    /// A session that has been greeted.
    pub async fn session(&self) -> Session {
        let mut session = self.unheard();
        assert!(matches!(session.hear().await, Word::Hello { version: 1, namespace } if namespace == "shop"));
        session
    }

    /// A session that has read nothing yet.
    pub fn unheard(&self) -> Session {
        let address = unix::SocketAddr::from_abstract_name(&self.socket).unwrap();
        let stream = unix::UnixStream::connect_addr(&address).unwrap();
        stream.set_nonblocking(true).unwrap();
        let (reader, writer) = UnixStream::from_std(stream).unwrap().into_split();
        Session {
            lines: BufReader::new(reader).lines(),
            writer,
            sequence: 0,
        }
    }

    /// Looks a name up as a client does that has no cache, over UDP.
    pub async fn look(&self, name: &str) -> Answer {
        self.ask(name, 1).await
    }

    pub async fn ask(&self, name: &str, kind: u16) -> Answer {
        let answer = self.send(&question(name, kind)).await;
        Answer::read(&answer, name)
    }

    /// What comes back for a packet.
    pub async fn send(&self, packet: &[u8]) -> Vec<u8> {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(self.dns).await.unwrap();
        socket.send(packet).await.unwrap();
        let mut answer = vec![0; 65_535];
        let length = timeout(BOUND, socket.recv(&mut answer)).await.unwrap().unwrap();
        answer.truncate(length);
        answer
    }

    /// The same over TCP.
    pub async fn look_over_tcp(&self, name: &str) -> Answer {
        let mut stream = TcpStream::connect(self.dns).await.unwrap();
        let answer = timeout(BOUND, over(&mut stream, &question(name, 1)))
            .await
            .unwrap();
        Answer::read(&answer, name)
    }

    /// Waits until a name has these addresses.
    pub async fn until(&self, name: &str, addresses: &[IpAddr]) {
        let wanted: BTreeSet<IpAddr> = addresses.iter().copied().collect();
        let arrives = async {
            while self.look(name).await.set() != wanted {
                tokio::task::yield_now().await;
            }
        };
        if timeout(BOUND, arrives).await.is_err() {
            panic!("{name} is {:?} and not {wanted:?}", self.look(name).await);
        }
    }
}

/// Sends one message over a connection and reads one.
pub async fn over(stream: &mut TcpStream, packet: &[u8]) -> Vec<u8> {
    stream.write_u16(packet.len() as u16).await.unwrap();
    stream.write_all(packet).await.unwrap();
    let length = stream.read_u16().await.unwrap();
    let mut answer = vec![0; length.into()];
    stream.read_exact(&mut answer).await.unwrap();
    answer
}

/// A question with recursion desired and without EDNS.
pub fn question(name: &str, kind: u16) -> Vec<u8> {
    let mut packet = vec![0x12, number() as u8, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        packet.push(label.len() as u8);
        packet.extend(label.bytes());
    }
    packet.push(0);
    packet.extend(kind.to_be_bytes());
    packet.extend([0, 1]);
    packet
}

/// What a lookup said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub code: u8,
    pub truncated: bool,
    pub authoritative: bool,
    pub addresses: Vec<IpAddr>,
}

impl Answer {
    /// As a resolver reads it: the question must be ours, every record must have a time to live of 0.
    pub fn read(message: &[u8], name: &str) -> Self {
        let asked = &question(name, 1)[12..];
        let end = 12 + asked.len();
        assert_eq!(
            message[12..end - 4],
            asked[..asked.len() - 4],
            "the question comes back as it was put"
        );
        let mut rest = &message[end..];
        let mut addresses = vec![];
        for _ in 0..u16::from_be_bytes([message[6], message[7]]) {
            let (head, after) = rest.split_at(12);
            assert_eq!(head[..2], [0xC0, 12]);
            assert_eq!(head[6..10], [0; 4], "nobody may keep an answer");
            let (data, after) = after.split_at(head[11].into());
            addresses.push(match *data {
                [a, b, c, d] => IpAddr::from([a, b, c, d]),
                _ => IpAddr::from(<[u8; 16]>::try_from(data).unwrap()),
            });
            rest = after;
        }
        Self {
            code: message[3] & 15,
            truncated: message[2] & 2 != 0,
            authoritative: message[2] & 4 != 0,
            addresses,
        }
    }

    pub fn set(&self) -> BTreeSet<IpAddr> {
        self.addresses.iter().copied().collect()
    }
}

/// The operator's end of a session.
pub struct Session {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
    sequence: u64,
}

impl Session {
    /// The next word; none once the agent has ended the session.
    pub async fn next(&mut self) -> Option<Word> {
        let line = timeout(BOUND, self.lines.next_line())
            .await
            .expect("a word")
            .ok()??;
        Some(serde_json::from_str(&line).unwrap())
    }

    pub async fn hear(&mut self) -> Word {
        self.next().await.expect("the session goes on")
    }

    /// Reads on until it hears this.
    pub async fn until(&mut self, wanted: impl Fn(&Word) -> bool) -> Word {
        loop {
            let word = self.hear().await;
            if wanted(&word) {
                return word;
            }
        }
    }

    /// Reads on until a health is so; the health.
    pub async fn until_health(&mut self, wanted: impl Fn(&Health) -> bool) -> Health {
        let fits = |word: &Word| matches!(word, Word::Health { health, .. } if wanted(health));
        match self.until(fits).await {
            Word::Health { health, .. } => health,
            other => panic!("{other:?}"),
        }
    }

    pub fn writer(&mut self) -> &mut OwnedWriteHalf {
        &mut self.writer
    }

    pub async fn write(&mut self, line: &str) {
        self.writer
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap();
    }

    pub async fn say(&mut self, order: &Order) {
        self.write(&serde_json::to_string(order).unwrap()).await;
    }

    /// Says what a deployment is, and waits until it is in effect.
    pub async fn set(&mut self, deployment: &str, members: &[Member]) {
        let number = self.begin_set(deployment, members).await;
        self.until(|word| matches!(word, Word::Applied { sequence, .. } if *sequence == number))
            .await;
    }

    /// The same without waiting.
    pub async fn begin_set(&mut self, deployment: &str, members: &[Member]) -> u64 {
        self.sequence += 1;
        let order = Order::Set {
            deployment: deployment.to_owned(),
            sequence: self.sequence,
            members: members.to_vec(),
        };
        self.say(&order).await;
        self.sequence
    }

    pub async fn only(&mut self, deployments: &[&str]) {
        let deployments = deployments.iter().map(|name| (*name).to_owned()).collect();
        self.say(&Order::Only { deployments }).await;
    }
}

/// A running container at this address whose run has just begun.
pub fn member(address: IpAddr, probes: Probes) -> Member {
    let started_at = now();
    Member {
        container: ContainerId::new(format!("{:064x}", number())),
        started_at,
        address,
        serving: true,
        gate: true,
        known: Health::beginning(&probes, Some(started_at)),
        probes,
    }
}

pub fn now() -> Timestamp {
    System.now()
}

pub fn http(port: u16) -> Check {
    Check::Http {
        tls: false,
        port,
        path: "/ready?token=hush".to_owned(),
        headers: vec![("Authorization".to_owned(), "hush".to_owned())],
    }
}

/// Asked every second, a second's time, one answer counts.
pub fn probe(check: Check) -> Probe {
    Probe {
        check,
        initial_delay_seconds: 0,
        period_seconds: 1,
        timeout_seconds: 1,
        success_threshold: 1,
        failure_threshold: 1,
    }
}

pub fn readiness(check: Check) -> Probes {
    Probes {
        readiness: Some(probe(check)),
        ..Probes::default()
    }
}

/// A replica: an HTTP server that answers with a status that can be changed, and with a secret in its body.
pub struct App {
    pub address: IpAddr,
    pub port: u16,
    pub status: Arc<AtomicU16>,
    pub asked: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl Drop for App {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl App {
    pub async fn new(status: u16) -> Self {
        Self::at(SocketAddr::new(address(), 0), status).await
    }

    pub async fn at(at: SocketAddr, status: u16) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let at = listener.local_addr().unwrap();
        let (status, asked) = (Arc::new(AtomicU16::new(status)), Arc::new(AtomicU32::new(0)));
        let (said, count) = (Arc::clone(&status), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                let status = said.load(Ordering::Relaxed);
                tokio::spawn(async move {
                    let mut request = [0; 1024];
                    let _ = stream.read(&mut request).await;
                    let answer =
                        format!("HTTP/1.1 {status} hush\r\nX: hush\r\nContent-Length: 4\r\n\r\nhush");
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        Self {
            address: at.ip(),
            port: at.port(),
            status,
            asked,
            task,
        }
    }

    pub fn answers(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    pub fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }

    pub fn member(&self) -> Member {
        member(self.address, readiness(http(self.port)))
    }
}
