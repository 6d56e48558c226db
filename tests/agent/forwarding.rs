//! Names of others: asked upstream and passed on, with an upstream that is good, silent, forging, or the agent itself.

use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
};

use super::lab::{Lab, member, question};

/// An answer with this address to a question.
fn answer(packet: &[u8], last: u8) -> Vec<u8> {
    let mut message = packet.to_vec();
    message[2] |= 0x80;
    message[7] = 1;
    message.extend([0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 192, 0, 2, last]);
    message
}

/// An upstream that does this with every datagram.
async fn upstream(work: impl Fn(&UdpSocket, SocketAddr, &[u8]) + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut packet = [0; 4096];
        loop {
            let (length, from) = socket.recv_from(&mut packet).await.unwrap();
            work(&socket, from, &packet[..length]);
        }
    });
    at
}

/// An agent that knows all its names, and none of these.
async fn below(upstream: SocketAddr) -> Lab {
    let lab = Lab::below(upstream).await;
    let mut session = lab.session().await;
    session.only(&[]).await;
    session.set("web", &[]).await;
    lab
}

#[tokio::test]
async fn a_foreign_name_is_asked_upstream_and_the_answer_passed_on() {
    let at = upstream(|socket, from, packet| _ = socket.try_send_to(&answer(packet, 7), from)).await;
    let lab = below(at).await;
    let put = question("example.com", 1);
    let back = lab.send(&put).await;
    assert_eq!(
        back,
        answer(&put, 7),
        "under the asker's id and otherwise as it came"
    );
    assert_eq!(
        lab.look("plain").await.addresses,
        ["192.0.2.7".parse::<IpAddr>().unwrap()]
    );
}

#[tokio::test]
async fn every_question_has_an_id_and_a_port_of_its_own() {
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let at = upstream(move |socket, from, packet| {
        told.send((from.port(), [packet[0], packet[1]])).unwrap();
        _ = socket.try_send_to(&answer(packet, 7), from);
    })
    .await;
    let lab = below(at).await;
    let (mut ports, mut ids) = (
        std::collections::BTreeSet::new(),
        std::collections::BTreeSet::new(),
    );
    for _ in 0..64 {
        lab.look("example.com").await;
        let (port, id) = heard.recv().await.unwrap();
        ports.insert(port);
        ids.insert(id);
    }
    assert!(
        ports.len() > 32 && ids.len() > 60,
        "{} ports, {} ids",
        ports.len(),
        ids.len()
    );
}

#[tokio::test]
async fn an_answer_to_another_question_is_waited_past() {
    let at = upstream(|socket, from, packet| {
        let mut wrong_id = answer(packet, 66);
        wrong_id[1] ^= 1;
        let mut wrong_name = answer(packet, 66);
        wrong_name[13] ^= 1;
        for forged in [&wrong_id[..], &wrong_name, b"\0", packet, &answer(packet, 7)] {
            _ = socket.try_send_to(forged, from);
        }
    })
    .await;
    let lab = below(at).await;
    assert_eq!(
        lab.look("example.com").await.addresses,
        ["192.0.2.7".parse::<IpAddr>().unwrap()]
    );
}

#[tokio::test]
async fn a_silent_upstream_is_said_to_be_one_before_the_asker_gives_up() {
    let at = upstream(|_, _, _| {}).await;
    let lab = below(at).await;
    let began = Instant::now();
    assert_eq!(lab.look("example.com").await.code, 2);
    assert!(began.elapsed().as_millis() < 4_000, "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_noticed_at_once() {
    let at = {
        let gone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        gone.local_addr().unwrap()
    };
    let lab = below(at).await;
    let began = Instant::now();
    assert_eq!(lab.look("example.com").await.code, 2);
    assert!(began.elapsed().as_millis() < 1_000, "{:?}", began.elapsed());
    assert_eq!(lab.look_over_tcp("example.com").await.code, 2);
}

#[tokio::test]
async fn no_more_wait_than_can_and_own_names_are_answered_all_the_while() {
    let at = upstream(|_, _, _| {}).await;
    let lab = below(at).await;
    let mut session = lab.session().await;
    let address = super::lab::address();
    session.set("web", &[member(address, Default::default())]).await;
    let asker = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    asker.connect(lab.dns).await.unwrap();
    for number in 0..300 {
        asker
            .send(&question(&format!("n{number}.example.com"), 1))
            .await
            .unwrap();
        // Gives the agent its turn, so that no datagram is lost on the way.
        tokio::task::yield_now().await;
    }
    let mut refusal = [0; 512];
    asker.recv(&mut refusal).await.unwrap();
    assert_eq!(refusal[3] & 15, 2);
    let began = Instant::now();
    assert_eq!(lab.look("web").await.addresses, [address]);
    assert!(began.elapsed().as_millis() < 1_000);
}

#[tokio::test]
async fn a_question_that_comes_back_to_the_agent_ends() {
    // The upstream hands every question to the agent, as a resolver would that has the agent for its upstream.
    let agent = std::sync::Arc::new(std::sync::Mutex::new(None::<SocketAddr>));
    let known = std::sync::Arc::clone(&agent);
    let count = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counted = std::sync::Arc::clone(&count);
    let at = upstream(move |_, from, packet| {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (packet, to) = (packet.to_vec(), known.lock().unwrap().unwrap());
        tokio::spawn(async move {
            let relay = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            relay.send_to(&packet, to).await.unwrap();
            let mut back = [0; 512];
            let length = relay.recv(&mut back).await.unwrap();
            let answer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            _ = answer.send_to(&back[..length], from).await;
        });
    })
    .await;
    let lab = below(at).await;
    *agent.lock().unwrap() = Some(lab.dns);
    assert_eq!(lab.look("example.com").await.code, 2);
    assert_eq!(
        count.load(std::sync::atomic::Ordering::Relaxed),
        1,
        "asked once, not for ever"
    );
}

#[tokio::test]
async fn what_does_not_fit_is_asked_again_over_a_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let datagrams = UdpSocket::bind(at).await.unwrap();
    tokio::spawn(async move {
        let mut packet = [0; 512];
        loop {
            let (length, from) = datagrams.recv_from(&mut packet).await.unwrap();
            // Larger than what the asker takes.
            let mut large = answer(&packet[..length], 7);
            large.resize(1_500, 0);
            _ = datagrams.send_to(&large, from).await;
        }
    });
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut packet = vec![0; stream.read_u16().await.unwrap().into()];
        stream.read_exact(&mut packet).await.unwrap();
        let answer = answer(&packet, 8);
        stream.write_u16(answer.len() as u16).await.unwrap();
        stream.write_all(&answer).await.unwrap();
    });
    let lab = below(at).await;
    let cut = lab.look("example.com").await;
    assert!(cut.truncated && cut.addresses.is_empty(), "{cut:?}");
    assert_eq!(
        lab.look_over_tcp("example.com").await.addresses,
        ["192.0.2.8".parse::<IpAddr>().unwrap()]
    );
}
