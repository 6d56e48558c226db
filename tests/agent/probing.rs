//! Probes against replicas that answer well, badly, late and never.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use supercargo::{
    agent::protocol::Word,
    state::probe::{Check, Health, Probe, Probes},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::lab::{App, Lab, address, http, member, now, probe, readiness};

#[tokio::test]
async fn a_probe_that_never_passes_says_why_and_nothing_of_what_it_was_told() {
    let lab = Lab::new().await;
    let app = App::new(503).await;
    let mut session = lab.session().await;
    session.set("web", &[app.member()]).await;
    let health = session.until_health(|health| !health.message.is_empty()).await;
    assert_eq!(
        health.message,
        format!("readiness probe: GET /ready on port {} answered 503", app.port)
    );
    assert!(!format!("{health:?}").contains("hush"), "{health:?}");
    lab.until("web", &[]).await;
    let asked = app.asked();
    while app.asked() < asked + 2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_probe_that_passes_late_is_noticed_soon() {
    let lab = Lab::new().await;
    let at = SocketAddr::new(address(), 8080);
    let mut slow = readiness(http(8080));
    slow.readiness = slow.readiness.map(|probe| Probe {
        period_seconds: 60,
        ..probe
    });
    let mut session = lab.session().await;
    let began = Instant::now();
    session.set("web", &[member(at.ip(), slow)]).await;
    let refused = session.until_health(|health| !health.message.is_empty()).await;
    assert_eq!(
        refused.message,
        "readiness probe: GET /ready on port 8080: connection refused"
    );
    let _app = App::at(at, 200).await;
    let listens = began.elapsed();
    let health = session.until_health(|health| health.ready).await;
    println!(
        "listens after {listens:?}, ready after {:?}, at a period of 60 s",
        began.elapsed()
    );
    assert_eq!(health.message, "");
    assert!(health.ready_since.is_some());
    lab.until("web", &[at.ip()]).await;
}

#[tokio::test]
async fn a_probe_that_flaps_is_news_each_time_its_threshold_is_crossed() {
    let lab = Lab::new().await;
    let app = App::new(200).await;
    let mut session = lab.session().await;
    session.set("web", &[app.member()]).await;
    let mut since = None;
    for _ in 0..2 {
        app.answers(200);
        let ready = session.until_health(|health| health.ready).await;
        assert!(ready.ready_since > since);
        since = ready.ready_since;
        app.answers(500);
        session.until_health(|health| !health.ready).await;
    }
}

#[tokio::test]
async fn a_replica_that_takes_connections_and_never_answers_delays_nobody() {
    let lab = Lab::new().await;
    let listener = TcpListener::bind((address(), 0)).await.unwrap();
    let hanging = listener.local_addr().unwrap();
    let app = App::new(503).await;
    let mut session = lab.session().await;
    let member = member(hanging.ip(), readiness(http(hanging.port())));
    session.set("db", &[member]).await;
    session.set("web", &[app.member()]).await;
    app.answers(200);
    lab.until("web", &[app.address]).await;
    let health = session
        .until_health(|health| health.message.contains("no answer"))
        .await;
    let port = hanging.port();
    assert_eq!(
        health.message,
        format!("readiness probe: GET /ready on port {port}: no answer within 1 s")
    );
}

#[tokio::test]
async fn a_liveness_that_fails_is_said_once_and_no_longer_asked() {
    let lab = Lab::new().await;
    let app = App::new(500).await;
    let probes = Probes {
        liveness: Some(probe(http(app.port))),
        ..Probes::default()
    };
    let mut session = lab.session().await;
    session.set("web", &[member(app.address, probes)]).await;
    let health = session.until_health(|health| !health.alive).await;
    assert!(
        health.message.starts_with("liveness probe: GET /ready on port "),
        "{health:?}"
    );
    assert!(health.ready, "whether it is named is for its readiness to say");
    assert_eq!(app.asked(), 1);
}

#[tokio::test]
async fn readiness_is_asked_once_the_start_is_over() {
    let lab = Lab::new().await;
    let (start, ready) = (App::new(503).await, App::new(200).await);
    // Both are one replica: its startup is asked at another port of its address.
    let other = App::at(SocketAddr::new(ready.address, 0), 503).await;
    drop(start);
    let probes = Probes {
        startup: Some(Probe {
            failure_threshold: 30,
            ..probe(http(other.port))
        }),
        ..readiness(http(ready.port))
    };
    let mut session = lab.session().await;
    session.set("web", &[member(ready.address, probes)]).await;
    while other.asked() < 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ready.asked(), 0);
    other.answers(200);
    let health = session.until_health(|health| health.ready).await;
    assert!(health.started);
    let asked = other.asked();
    assert!(ready.asked() >= 1);
    lab.until("web", &[ready.address]).await;
    assert_eq!(other.asked(), asked, "it has started for good");
}

#[tokio::test]
async fn an_agent_that_begins_anew_goes_on_from_what_was_known() {
    let lab = Lab::new().await;
    let gone = address();
    let mut asked = readiness(http(8080));
    asked.readiness = asked.readiness.map(|probe| Probe {
        failure_threshold: 3,
        ..probe
    });
    let mut member = member(gone, asked);
    member.known = Health {
        started: true,
        ready: true,
        ready_since: Some(now()),
        alive: true,
        message: String::new(),
    };
    let mut session = lab.session().await;
    session.set("web", std::slice::from_ref(&member)).await;
    let said = session.until(|word| matches!(word, Word::Health { .. })).await;
    assert!(matches!(said, Word::Health { health, .. } if health == member.known));
    assert_eq!(lab.look("web").await.addresses, [gone]);
    let health = session.until_health(|health| !health.ready).await;
    assert_eq!(
        health.message,
        "readiness probe: GET /ready on port 8080: connection refused"
    );
    lab.until("web", &[]).await;
}

#[tokio::test]
async fn an_open_port_is_a_yes_to_a_tcp_probe() {
    let lab = Lab::new().await;
    let listener = TcpListener::bind((address(), 0)).await.unwrap();
    let at = listener.local_addr().unwrap();
    let mut session = lab.session().await;
    session
        .set(
            "db",
            &[member(at.ip(), readiness(Check::Tcp { port: at.port() }))],
        )
        .await;
    lab.until("db", &[at.ip()]).await;
    drop(listener);
    let health = session
        .until_health(|health| !health.ready && !health.message.is_empty())
        .await;
    assert_eq!(
        health.message,
        format!(
            "readiness probe: connect to port {}: connection refused",
            at.port()
        )
    );
}

/// A TLS server with a certificate for a name that nobody asks for.
async fn secure() -> SocketAddr {
    let made = rcgen::generate_simple_self_signed(vec!["elsewhere.example".to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(made.cert.der().to_vec())], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((address(), 0)).await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    .await;
            }
        }
    });
    at
}

#[tokio::test]
async fn tls_is_spoken_with_any_certificate_and_only_where_it_is_asked_for() {
    let lab = Lab::new().await;
    let at = secure().await;
    let tls = |tls| Check::Http {
        tls,
        port: at.port(),
        path: "/ready".to_owned(),
        headers: vec![],
    };
    let mut session = lab.session().await;
    session.set("web", &[member(at.ip(), readiness(tls(true)))]).await;
    lab.until("web", &[at.ip()]).await;
    session
        .set("web", &[member(at.ip(), readiness(tls(false)))])
        .await;
    let health = session.until_health(|health| !health.message.is_empty()).await;
    println!("plain HTTP to a TLS server: {}", health.message);
    let plain = App::new(200).await;
    let mut wrong = plain.member();
    wrong.probes.readiness = Some(probe(Check::Http {
        tls: true,
        port: plain.port,
        path: "/".to_owned(),
        headers: vec![],
    }));
    session.set("web", &[wrong]).await;
    let health = session.until_health(|health| !health.message.is_empty()).await;
    println!("TLS to a plain server: {}", health.message);
    assert!(health.message.starts_with("readiness probe: GET / on port "));
}
