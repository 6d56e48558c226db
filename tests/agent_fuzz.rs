//! A bounded, deterministic fuzz of what the agent reads from others: DNS packets, lines of a session, and the answers of
//! replicas. Its changes are those of `fuzzing`; `SUPERCARGO_FUZZ_ROUNDS` does more of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

#[path = "fuzzing/mutate.rs"]
mod mutate;

use std::net::IpAddr;

use mutate::{Numbers, mutate};
use supercargo::agent::{
    dns::message::{self, Transport},
    prober::http::Head,
    session,
};

#[expect(clippy::disallowed_methods, reason = "a longer run is asked for by hand")]
fn rounds() -> usize {
    let asked = std::env::var("SUPERCARGO_FUZZ_ROUNDS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(60_000)
}

/// Runs on the seeds and on changes of them; true from it says that an input got through.
fn fuzz(name: &str, seeds: &[&[u8]], run: impl Fn(&[u8]) -> bool) {
    let mut numbers = Numbers::new(0xA6E7);
    let mut through = 0;
    for round in 0..rounds() {
        let mut input = seeds[round % seeds.len()].to_vec();
        if round >= seeds.len() {
            let other = seeds[numbers.below(seeds.len())];
            mutate(&mut numbers, &mut input, other);
        }
        through += usize::from(run(&input));
    }
    println!("{name}: {} inputs, {through} of them good", rounds());
    assert!(through > rounds() / 100, "the changes are too wild: {through}");
}

const QUESTIONS: &[&[u8]] = &[
    b"\xBE\xEF\x01\0\0\x01\0\0\0\0\0\0\x03Web\x04shop\0\0\x01\0\x01",
    b"\0\x01\x01\0\0\x01\0\0\0\0\0\x01\x03web\x04shop\x03svc\x07cluster\x05local\0\0\x1C\0\x01\0\0\x29\x10\0\0\0\0\0\0\0",
    b"\0\x02\0\x20\0\x01\0\0\0\0\0\x01\x07example\x03com\0\0\xFF\0\x01\0\0\x29\x04\xD0\0\0\x80\0\0\x0C\0\x0A\0\x0812345678",
    b"\0\x03\x81\x80\0\x01\0\x01\0\0\0\0\x01a\0\0\x01\0\x01\xC0\x0C\0\x01\0\x01\0\0\0\0\0\x04\x0A\x01\0\x02",
];

#[test]
fn any_packet_is_a_question_or_refused() {
    let addresses: Vec<IpAddr> = (0..40).map(|last| IpAddr::from([10, 0, 0, last])).collect();
    fuzz("dns", QUESTIONS, |packet| match message::read(packet) {
        Ok(query) => {
            for transport in [Transport::Udp, Transport::Tcp] {
                let answer = query.answer(&addresses, transport);
                assert!(answer.len() <= query.limit(transport));
                assert!(message::answers(&answer, query.id, &query.question));
                assert!(message::read(&answer).is_err(), "an answer is no question");
            }
            assert!(message::answers(&query.truncated(), query.id, &query.question));
            true
        }
        Err(refusal) => {
            // What is refused is refused in a message of the same id, no larger than a datagram.
            let refusal = refusal.unwrap_or_else(|| packet.to_vec());
            assert_eq!(refusal.get(..2), packet.get(..2));
            assert!(refusal.len() <= packet.len().max(512));
            false
        }
    });
}

const LINES: &[&[u8]] = &[
    br#"{"order":"only","deployments":["web","db"]}"#,
    br#"{"order":"set","deployment":"web","sequence":7,"members":[{"container":"c","startedAt":"2026-01-01T00:00:00Z","address":"10.1.0.2","serving":true,"gate":true,"probes":{"readiness":{"check":{"http":{"tls":false,"port":80,"path":"/","headers":[["A","secret"]]}},"initialDelaySeconds":0,"periodSeconds":10,"timeoutSeconds":1,"successThreshold":1,"failureThreshold":3}},"known":{"started":true,"ready":true,"alive":true}}]}"#,
];

#[test]
fn any_line_is_an_order_or_refused_without_its_words() {
    fuzz("lines", LINES, |line| match session::read_order(line) {
        Ok(Some(order)) => {
            let again = serde_json::to_vec(&order).unwrap();
            assert_eq!(session::read_order(&again).unwrap().unwrap(), order);
            true
        }
        Ok(None) => false,
        Err(message) => {
            assert!(!message.is_empty() && !message.contains("secret"));
            false
        }
    });
}

const ANSWERS: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.0 503 Unavailable\n\n",
];

#[test]
fn any_answer_is_a_status_or_none_however_it_is_cut() {
    fuzz("http", ANSWERS, |answer| {
        let whole = Head::default().feed(answer);
        let mut head = Head::default();
        let bytes = answer.iter().map(|byte| head.feed(&[*byte]));
        let one_by_one = bytes.into_iter().find(|fed| *fed != Ok(None)).unwrap_or(Ok(None));
        assert_eq!(one_by_one, whole);
        matches!(whole, Ok(Some(status)) if !(100..200).contains(&status) || status == 101)
    });
}
