//! Requests byte by byte, and answers cut everywhere.

use super::*;

fn to() -> SocketAddr {
    "10.1.0.2:8080".parse().unwrap()
}

fn headers(given: &[(&str, &str)]) -> Vec<(String, String)> {
    given
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn written(path: &str, given: &[(&str, &str)]) -> String {
    String::from_utf8(request(to(), path, &headers(given)).unwrap()).unwrap()
}

#[test]
fn a_request_names_the_replica_and_closes() {
    let agent = concat!("supercargo-probe/", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        written("/ready?deep=1", &[]),
        format!(
            "GET /ready?deep=1 HTTP/1.1\r\nHost: 10.1.0.2:8080\r\nUser-Agent: {agent}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        )
    );
}

#[test]
fn headers_replace_the_defaults_but_not_the_end_of_the_connection() {
    let given = [
        ("host", "shop.example"),
        ("user-agent", "x"),
        ("X-A", "1"),
        ("X-A", "2"),
        ("Connection", "keep-alive"),
    ];
    assert_eq!(
        written("/", &given),
        "GET / HTTP/1.1\r\nAccept: */*\r\nhost: shop.example\r\nuser-agent: x\r\nX-A: 1\r\nX-A: 2\r\nConnection: close\r\n\r\n"
    );
}

#[test]
fn nothing_in_a_path_ends_the_line() {
    let text = written("a b\r\nX: y/ü", &[]);
    assert!(
        text.starts_with("GET /a%20b%0D%0AX:%20y/%C3%BC HTTP/1.1\r\nHost"),
        "{text}"
    );
}

#[test]
fn a_header_that_would_be_two_is_refused_without_its_value() {
    for (name, value) in [
        ("X", "hush\r\nY: z"),
        ("X: y", "hush"),
        ("", "hush"),
        ("X", "hush\0"),
    ] {
        let message = request(to(), "/", &headers(&[(name, value)])).unwrap_err();
        assert!(!message.contains("hush"), "{message}");
    }
}

fn status(answer: &[u8]) -> Result<Option<u16>, &'static str> {
    let whole = Head::default().feed(answer);
    for cut in 0..answer.len() {
        let mut head = Head::default();
        let halves = match head.feed(&answer[..cut]) {
            Ok(None) => head.feed(&answer[cut..]),
            early => early,
        };
        assert_eq!(halves, whole, "cut at {cut}");
    }
    whole
}

#[test]
fn the_status_counts_once_the_head_has_ended() {
    assert_eq!(status(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody"), Ok(Some(200)));
    assert_eq!(status(b"HTTP/1.0 503\n\n"), Ok(Some(503)));
    assert_eq!(
        status(b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n"),
        Ok(Some(302))
    );
    assert_eq!(status(b"HTTP/1.1 200 OK\r\nA: b\r\n"), Ok(None));
    assert_eq!(status(b"HTTP/1.1 101 Switching\r\n\r\n"), Ok(Some(101)));
}

#[test]
fn interim_answers_are_passed_over() {
    assert_eq!(
        status(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 404 No\r\n\r\n"),
        Ok(Some(404))
    );
}

#[test]
fn what_is_not_http_is_told_at_once() {
    for answer in [
        &b"SSH-2.0-x\r\n"[..],
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 2x0 OK",
        b"\r\n\r\n",
        b"\x15\x03\x03",
    ] {
        assert!(status(answer).is_err(), "{answer:?}");
    }
    assert!(status(b"HTTP/1.1\r\n\r\n").is_err());
}

#[test]
fn a_head_without_an_end_is_given_up() {
    let mut head = Head::default();
    head.feed(b"HTTP/1.1 200 OK\r\n").unwrap();
    let outcome = (0..100_000).map(|_| head.feed(b"A: b\r\n")).find(Result::is_err);
    assert!(outcome.is_some());
}
