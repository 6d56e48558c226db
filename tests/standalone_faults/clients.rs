//! Clients that are slow, many, broken or hostile: none of them holds up another, and each gets an answer or an end.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    process::{SOON, Standalone},
    wire::Wire,
};

const OBJECTS: &str = "/api/v1/namespaces/default/configmaps";

fn object(name: &str, text: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"v": text}})
}

/// Updates one object per writer so many times altogether; how long it took.
async fn write(wire: &Wire, prefix: &str, writes: usize) -> Duration {
    const WRITERS: usize = 16;
    let begun = Instant::now();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (wire, name) = (wire.clone(), format!("{prefix}-{writer}"));
        writers.spawn(async move {
            let mut line = wire.line().await.unwrap();
            let made = line.send("POST", OBJECTS, &object(&name, "")).await.unwrap();
            assert_eq!(made.code, 201, "{}", made.body);
            for count in 1..writes / WRITERS {
                let path = format!("{OBJECTS}/{name}");
                let text = format!("{count}{}", "x".repeat(2_000));
                let answer = line.send("PUT", &path, &object(&name, &text)).await.unwrap();
                assert_eq!(answer.code, 200, "{}", answer.body);
            }
        });
    }
    writers.join_all().await;
    begun.elapsed()
}

/// A watch that reads nothing while much is written.
pub async fn slow_watchers(server: &mut Standalone, writes: usize) {
    let wire = server.start().await;
    write(&wire, "warm", writes / 4).await;
    let alone = write(&wire, "alone", writes).await;
    let mut silent = Vec::new();
    for _ in 0..10 {
        let mut stream = wire.open().await.unwrap();
        let head = format!("GET {OBJECTS}?watch=true HTTP/1.1\r\nhost: x\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        silent.push(stream);
    }
    let beside = write(&wire, "beside", writes).await;
    let ratio = beside.as_secs_f64() / alone.as_secs_f64();
    println!(
        "{writes} writes: {alone:?} alone, {beside:?} beside 10 watches that read nothing: {ratio:.2} times"
    );
    // Whoever reads again gets either everything or an ERROR, or was ended.
    for mut stream in silent {
        let mut read = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        let last = async {
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                read.extend_from_slice(&buffer[..count]);
                let whole = String::from_utf8_lossy(&read);
                if whole.contains("\"type\":\"ERROR\"")
                    || whole.ends_with("0\r\n\r\n")
                    || read.len() > writes * 2_000
                {
                    break;
                }
                read.drain(..read.len().saturating_sub(1 << 16));
            }
        };
        // One that got everything waits for more.
        let _waits = tokio::time::timeout(Duration::from_secs(2), last).await;
        assert!(!read.is_empty(), "it was answered");
    }
    assert_eq!(wire.get("/livez").await.unwrap().code, 200);
}

/// A thousand connections that say nothing further after one request.
pub async fn idle_connections(wire: &Wire) {
    let mut idle = Vec::new();
    for _ in 0..1_000 {
        let mut line = wire.line().await.unwrap();
        assert_eq!(line.send("GET", "/livez", &Value::Null).await.unwrap().code, 200);
        idle.push(line);
    }
    let begun = Instant::now();
    assert_eq!(wire.get(OBJECTS).await.unwrap().code, 200);
    println!("beside 1,000 idle connections a list takes {:?}", begun.elapsed());
    for line in &mut idle {
        assert_eq!(line.send("GET", "/livez", &Value::Null).await.unwrap().code, 200);
    }
}

/// What is no request, or is two of them.
pub async fn broken_requests(wire: &Wire) {
    let secret = "GET /api/v1/namespaces HTTP/1.1\r\nhost: x\r\n\r\n";
    let cases: [(&str, String); 12] = [
        (
            "two lengths",
            format!(
                "POST {OBJECTS} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef"
            ),
        ),
        (
            "a length and chunks",
            format!(
                "POST {OBJECTS} HTTP/1.1\r\nhost: x\r\ncontent-length: 60\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{secret}"
            ),
        ),
        (
            "chunks twice",
            format!(
                "POST {OBJECTS} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n"
            ),
        ),
        (
            "an unknown coding",
            format!("POST {OBJECTS} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n"),
        ),
        (
            "a length that is negative",
            format!("POST {OBJECTS} HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n"),
        ),
        (
            "a length with a sign",
            format!("POST {OBJECTS} HTTP/1.1\r\nhost: x\r\ncontent-length: +5\r\n\r\nabcde"),
        ),
        (
            "a length beyond numbers",
            format!("POST {OBJECTS} HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999\r\n\r\n"),
        ),
        (
            "a space before the colon",
            "GET /api HTTP/1.1\r\nhost : x\r\n\r\n".to_owned(),
        ),
        (
            "a folded header",
            "GET /api HTTP/1.1\r\nhost: x\r\nx-a: b\r\n c: d\r\n\r\n".to_owned(),
        ),
        (
            "a zero in a header",
            "GET /api HTTP/1.1\r\nhost: x\r\nx-a: b\0c\r\n\r\n".to_owned(),
        ),
        (
            "a giant header",
            format!(
                "GET /api HTTP/1.1\r\nhost: x\r\nx-a: {}\r\n\r\n",
                "b".repeat(2 << 20)
            ),
        ),
        (
            "a chunk of a wrong size",
            format!(
                "POST {OBJECTS} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\nabc\r\n0\r\n\r\n"
            ),
        ),
    ];
    for (what, text) in cases {
        let (answer, ended) = wire.raw(text.as_bytes(), Duration::from_secs(20)).await;
        assert!(ended, "{what}: the connection goes on: {answer}");
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{what}: {answer}"
        );
        let answers = answer.matches("HTTP/1.1 ").count();
        assert!(answers <= 1, "{what}: {answers} answers to one request: {answer}");
        assert!(
            !answer.contains("NamespaceList"),
            "{what}: a smuggled request was answered"
        );
    }
    assert_eq!(wire.get("/livez").await.unwrap().code, 200);
}

/// Bytes that are no TLS.
pub async fn broken_tls(wire: &Wire) {
    let cases: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        b"\x16\x03\x01\xff\xff",
        b"\x16\x03\x01\x00\x04\x01\x00\xff\xff",
        b"\x80\x2e\x01\x03\x01",
        &[0; 4096],
    ];
    for bytes in cases {
        let mut tcp = tokio::net::TcpStream::connect(&wire.authority).await.unwrap();
        tcp.write_all(bytes).await.unwrap();
        let mut read = Vec::new();
        let ended = tokio::time::timeout(SOON, tcp.read_to_end(&mut read)).await;
        assert!(ended.is_ok(), "{bytes:?}: the connection goes on");
        assert!(read.len() < 1_000, "{bytes:?}: {read:?}");
    }
    assert_eq!(wire.get("/livez").await.unwrap().code, 200);
}

/// Streams of h2 that are opened and reset, as fast as can be (CVE-2023-44487).
pub async fn rapid_reset(wire: &Wire) {
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    };
    let mut stream = wire.speaking("h2").open().await.unwrap();
    let mut opening = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    opening.extend(frame(4, 0, 0, &[]));
    stream.write_all(&opening).await.unwrap();
    // :method GET, :scheme https, :path / with literals, :authority x.
    let head = [&[0x82, 0x87, 0x44, 4], &b"/api"[..], &[0x41, 1], b"x"].concat();
    let mut sent = 0;
    'sending: for block in 0..500_u32 {
        let mut frames = Vec::new();
        for at in 0..40 {
            let id = (block * 40 + at) * 2 + 1;
            frames.extend(frame(1, 5, id, &head));
            frames.extend(frame(3, 0, id, &8_u32.to_be_bytes()));
        }
        match tokio::time::timeout(SOON, stream.write_all(&frames)).await {
            Ok(Ok(())) => sent += 40,
            _ => break 'sending,
        }
        let mut buffer = [0; 1 << 14];
        while let Ok(Ok(1..)) = tokio::time::timeout(Duration::ZERO, stream.read(&mut buffer)).await {}
    }
    println!("rapid reset: the connection took {sent} streams of 20,000");
    assert!(sent < 20_000, "nobody ends such a connection");
    assert_eq!(wire.get("/livez").await.unwrap().code, 200);
}

/// A body in a coding that is not spoken.
pub async fn coded_bodies(wire: &Wire) {
    // `{}` by gzip.
    let gzip: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xab\xae\x05\0\x43\xbf\xa6\xa3\x02\0\0\0";
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let mut line = wire.line().await.unwrap();
    let answer = line
        .ask("POST", OBJECTS, &headers, Bytes::from_static(gzip))
        .await
        .unwrap();
    assert!(
        (400..500).contains(&answer.code),
        "{} {}",
        answer.code,
        answer.body
    );
    assert_eq!(answer.body["kind"], "Status", "{:?}", answer.raw);
    let wanted = [("accept-encoding", "gzip;q=1.0, identity;q=0")];
    let answer = line.ask("GET", OBJECTS, &wanted, Bytes::new()).await.unwrap();
    assert!(answer.code == 200 || answer.code == 406, "{}", answer.code);
}

/// Clients that stop in the middle are ended, and hold up nobody.
pub async fn slow_senders(wire: &Wire) {
    let half = [
        "GET /api HTTP/1.1\r\nx-a: ",
        "GET",
        "POST /api/v1/namespaces HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{",
    ];
    let mut slow = Vec::new();
    for text in half.iter().cycle().take(300) {
        let mut stream = wire.open().await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let answer = wire
        .send("POST", OBJECTS, &object("beside-slow", ""))
        .await
        .unwrap();
    assert!(matches!(answer.code, 201 | 429), "{}", answer.body);
    assert_eq!(wire.get(OBJECTS).await.unwrap().code, 200);
    drop(slow);
}
