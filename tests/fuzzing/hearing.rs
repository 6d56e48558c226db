//! What the bounded fuzz test of the agent (`tests/agent_fuzz.rs`) and its coverage-guided target (`fuzz/`) share: one
//! function of bytes per thing that the agent reads from others, and its seeds. Each panics when a promise is broken, and
//! answers whether the input got through. Whoever includes it has `agent` at the root of its crate.

use std::{net::IpAddr, sync::LazyLock};

use crate::agent::{
    dns::message::{self, Transport},
    prober::http::Head,
    session,
};

/// What it is called, what it does with an input, and what changes begin with.
pub type Target = (&'static str, fn(&[u8]) -> bool, &'static [&'static [u8]]);

/// All of them.
pub const TARGETS: [Target; 3] = [
    ("dns", packet, QUESTIONS),
    ("line", line, LINES),
    ("answer", answer, ANSWERS),
];

static ADDRESSES: LazyLock<Vec<IpAddr>> =
    LazyLock::new(|| (0..40).map(|last| IpAddr::from([10, 0, 0, last])).collect());

const QUESTIONS: &[&[u8]] = &[
    b"\xBE\xEF\x01\0\0\x01\0\0\0\0\0\0\x03Web\x04shop\0\0\x01\0\x01",
    b"\0\x01\x01\0\0\x01\0\0\0\0\0\x01\x03web\x04shop\x03svc\x07cluster\x05local\0\0\x1C\0\x01\0\0\x29\x10\0\0\0\0\0\0\0",
    b"\0\x02\0\x20\0\x01\0\0\0\0\0\x01\x07example\x03com\0\0\xFF\0\x01\0\0\x29\x04\xD0\0\0\x80\0\0\x0C\0\x0A\0\x0812345678",
    b"\0\x03\x81\x80\0\x01\0\x01\0\0\0\0\x01a\0\0\x01\0\x01\xC0\x0C\0\x01\0\x01\0\0\0\0\0\x04\x0A\x01\0\x02",
];

/// Any packet is a question or refused.
fn packet(packet: &[u8]) -> bool {
    let query = match message::read(packet) {
        Ok(query) => query,
        Err(refusal) => {
            // What is refused is refused in a message of the same id, no larger than a datagram.
            let refusal = refusal.unwrap_or_else(|| packet.to_vec());
            assert_eq!(refusal.get(..2), packet.get(..2));
            assert!(refusal.len() <= packet.len().max(512));
            return false;
        }
    };
    for transport in [Transport::Udp, Transport::Tcp] {
        let answer = query.answer(&ADDRESSES, transport);
        assert!(answer.len() <= query.limit(transport));
        assert!(message::answers(&answer, query.id, &query.question));
        assert!(message::read(&answer).is_err(), "an answer is no question");
    }
    assert!(message::answers(&query.truncated(), query.id, &query.question));
    true
}

const LINES: &[&[u8]] = &[
    br#"{"order":"only","deployments":["web","db"]}"#,
    br#"{"order":"set","deployment":"web","sequence":7,"members":[{"container":"c","startedAt":"2026-01-01T00:00:00Z","address":"10.1.0.2","serving":true,"gate":true,"probes":{"readiness":{"check":{"http":{"tls":false,"port":80,"path":"/","headers":[["A","secret"]]}},"initialDelaySeconds":0,"periodSeconds":10,"timeoutSeconds":1,"successThreshold":1,"failureThreshold":3}},"known":{"started":true,"ready":true,"alive":true}}]}"#,
];

/// Any line is an order or refused without its words.
fn line(line: &[u8]) -> bool {
    match session::read_order(line) {
        Ok(Some(order)) => {
            let again = serde_json::to_vec(&order).expect("an order is written");
            assert_eq!(session::read_order(&again), Ok(Some(order)));
            true
        }
        Ok(None) => false,
        Err(message) => {
            assert!(!message.is_empty() && !message.contains("secret"));
            false
        }
    }
}

const ANSWERS: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.0 503 Unavailable\n\n",
];

/// Any answer is a status or none, however it is cut.
fn answer(answer: &[u8]) -> bool {
    let whole = Head::default().feed(answer);
    let mut head = Head::default();
    let bytes = answer.iter().map(|byte| head.feed(&[*byte]));
    let one_by_one = bytes.into_iter().find(|fed| *fed != Ok(None)).unwrap_or(Ok(None));
    assert_eq!(one_by_one, whole);
    matches!(whole, Ok(Some(status)) if !(100..200).contains(&status) || status == 101)
}
