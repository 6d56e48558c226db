//! The adapter before an engine that the test plays itself over a socket: requests as they are sent, and answers that no
//! engine at hand gives (other versions, half an answer, none).

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use supercargo::{
    engine::{
        Containers, Daemon, Files, Images, Kind, LabelFilter, Networks, RegistryCredential, Volumes,
        bollard::{Docker, Endpoint},
    },
    seal::Plaintext,
    state::{
        container::{ContainerId, EnvValue, EnvVar, Limits, SlotId},
        network::NetworkSpec,
        volume::Volume,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

use super::lab::{Lab, kind_of};

#[derive(Clone, Default)]
struct Requests(Arc<Mutex<Vec<String>>>);

/// An engine that answers each request as `answer` says, by method and path; none is silence.
struct Played {
    docker: Docker,
    requests: Requests,
    _dir: tempfile::TempDir,
}

fn play(answer: impl Fn(&str) -> Option<(u16, &'static str)> + Send + Sync + 'static) -> Played {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("engine.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let requests = Requests::default();
    let (seen, answer) = (requests.clone(), Arc::new(answer));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, seen.clone(), Arc::clone(&answer)));
        }
    });
    let docker = Docker::connect(&Endpoint::Unix(path)).unwrap();
    Played {
        docker,
        requests,
        _dir: dir,
    }
}

async fn serve(
    mut stream: UnixStream,
    seen: Requests,
    answer: Arc<impl Fn(&str) -> Option<(u16, &'static str)> + Send + Sync + 'static>,
) {
    let mut text = Vec::new();
    let (head, body) = loop {
        let mut buffer = [0; 4096];
        let Ok(n @ 1..) = stream.read(&mut buffer).await else {
            return;
        };
        text.extend_from_slice(&buffer[..n]);
        let all = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = all.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            break (head.to_owned(), body.to_owned());
        }
    };
    seen.0.lock().unwrap().push(format!("{head}\r\n\r\n{body}"));
    let line = head
        .lines()
        .next()
        .unwrap_or_default()
        .trim_end_matches(" HTTP/1.1")
        .to_owned();
    match answer(&line) {
        Some((status, body)) => {
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
        None => std::future::pending().await,
    }
}

fn id() -> ContainerId {
    ContainerId::new("ab".repeat(32))
}

async fn spec() -> supercargo::state::container::ContainerSpec {
    super::fake::FakeLab::open().await.spec("c")
}

fn refusing(status: u16, body: &'static str) -> Played {
    play(move |_| Some((status, body)))
}

/// Makes each call once; what comes back does not matter.
async fn ask_everything(docker: &Docker) {
    let filter = LabelFilter {
        key: "k".into(),
        value: "v".into(),
    };
    let _ = docker.ping().await;
    let _ = docker.info().await;
    let _ = docker.events(&filter).await;
    let _ = docker.list_containers(&filter).await;
    let _ = docker.inspect_container("c").await;
    let _ = docker.create_container(&spec().await, &BTreeMap::new()).await;
    let _ = docker.start_container(&id()).await;
    let _ = docker.stop_container(&id(), 3).await;
    let _ = docker.signal_container(&id(), "SIGHUP").await;
    let _ = docker.read_link(&id(), "/a b/..data").await;
    let _ = docker.read_file(&id(), "/etc/passwd", 1).await;
    let _ = docker.unpause_container(&id()).await;
    let _ = docker.rename_container(&id(), "n").await;
    let _ = docker
        .update_container(
            &id(),
            &Limits {
                memory: Some(1 << 30),
                nano_cpus: Some(0),
            },
        )
        .await;
    let _ = docker.remove_container(&id(), true).await;
    let _ = docker.inspect_image("i").await;
    let _ = docker.pull_image("h:5/i", None).await;
    let _ = docker.list_networks().await;
    let network = NetworkSpec {
        name: "n".into(),
        subnet: "10.0.0.0/24".into(),
        labels: BTreeMap::new(),
    };
    let _ = docker.create_network(&network).await;
    let _ = docker.connect_network("n", &id(), &["a".into()]).await;
    let _ = docker.disconnect_network("n", &id()).await;
    let _ = docker.remove_network("n").await;
    let _ = docker.list_volumes(&filter).await;
    let _ = docker
        .create_volume(&Volume {
            name: "v".into(),
            labels: BTreeMap::new(),
            memory: None,
        })
        .await;
    let _ = docker.remove_volume("v").await;
    let _ = docker.logs(&id(), &Default::default()).await;
}

#[tokio::test]
async fn every_request_goes_without_a_version_in_its_path() {
    let played = play(|line| {
        Some(match line {
            line if line.contains("/json") && line.contains("/networks") => (200, "[]"),
            line if line.contains("/containers/json") => (200, "[]"),
            line if line.contains("/networks") && line.starts_with("GET") => (200, "[]"),
            line if line.contains("create") => (
                201,
                r#"{"Id":"ab","Name":"n","Driver":"local","Mountpoint":"","Labels":{},"Scope":"local","Options":{}}"#,
            ),
            _ => (200, "{}"),
        })
    });
    ask_everything(&played.docker).await;
    let requests = played.requests.0.lock().unwrap();
    assert_eq!(requests.len(), 27, "{requests:#?}");
    for request in requests.iter() {
        let path = request.split(' ').nth(1).unwrap();
        assert!(path.starts_with('/') && !path.starts_with("/v1"), "{path}");
        assert_eq!(
            request.to_lowercase().matches("\r\nhost: localhost\r\n").count(),
            1,
            "{request}"
        );
    }
    let found = |part: &str| {
        requests
            .iter()
            .find(|request| request.contains(part))
            .unwrap_or_else(|| panic!("{part}"))
    };
    assert!(found("/stop?").starts_with("POST ") && found("/stop?").contains("t=3 "));
    assert!(
        found("DELETE /containers").contains("v=true") && found("DELETE /containers").contains("force=true")
    );
    let update = found("/update");
    assert!(
        update.contains(r#""Memory":1073741824"#) && update.contains(r#""MemorySwap":1073741824"#),
        "{update}"
    );
    assert!(
        !update.contains("NanoCpus") && update.contains(r#""RestartPolicy":{"Name":"no"}"#),
        "{update}"
    );
    let network = found("/networks/create");
    assert!(
        network.contains(r#""CheckDuplicate":true"#) && network.contains(r#""Subnet":"10.0.0.0/24""#),
        "{network}"
    );
    assert!(found("/images/create").contains("fromImage=h%3A5%2Fi%3Alatest"));
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_never_answers_is_unreachable_in_bounded_time() {
    let played = play(|_| None);
    let docker = &played.docker;
    let start = tokio::time::Instant::now();
    assert_eq!(kind_of(docker.ping().await), Kind::Unreachable);
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!(kind_of(docker.start_container(&id()).await), Kind::Unreachable);
    assert_eq!(start.elapsed().as_secs(), 40);
    assert_eq!(kind_of(docker.stop_container(&id(), 60).await), Kind::Unreachable);
    assert_eq!(start.elapsed().as_secs(), 110);
    let filter = LabelFilter {
        key: "k".into(),
        value: "v".into(),
    };
    assert_eq!(
        kind_of(docker.events(&filter).await.map(|_| ())),
        Kind::Unreachable
    );
    assert_eq!(kind_of(docker.pull_image("i", None).await), Kind::Unreachable);
    assert_eq!(start.elapsed().as_secs(), 120 + 30 * 60);
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_unreachable_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("absent.sock");
    let error = Docker::connect(&Endpoint::Unix(path.clone()))
        .unwrap()
        .ping()
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::Unreachable);
    assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
}

#[tokio::test]
async fn half_an_answer_is_unreachable() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("engine.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Id\":")
                .await;
        }
    });
    let docker = Docker::connect(&Endpoint::Unix(path)).unwrap();
    assert_eq!(kind_of(docker.inspect_container("c").await), Kind::Unreachable);
    assert_eq!(
        kind_of(docker.create_container(&spec().await, &BTreeMap::new()).await),
        Kind::Unreachable
    );
    let filter = LabelFilter {
        key: "k".into(),
        value: "v".into(),
    };
    assert_eq!(kind_of(docker.list_containers(&filter).await), Kind::Unreachable);
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_a_failure_and_not_a_missing_thing() {
    let played = refusing(200, "<html>");
    assert_eq!(kind_of(played.docker.inspect_container("c").await), Kind::Failed);
    assert_eq!(kind_of(played.docker.list_networks().await), Kind::Failed);
    let played = refusing(502, "bad gateway");
    let error = played.docker.inspect_container("c").await.unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (Kind::Failed, "bad gateway")
    );
}

#[tokio::test]
async fn refusals_of_newer_engines_mean_the_same() {
    let played = refusing(
        500,
        r#"{"message":"failed to set up container networking: driver failed programming external connectivity on endpoint c (ab): failed to bind host port for 127.0.0.1:80:172.18.0.2:80/tcp: address already in use"}"#,
    );
    assert_eq!(
        kind_of(played.docker.start_container(&id()).await),
        Kind::PortTaken
    );
    let played = refusing(409, r#"{"message":"Container ab is not paused"}"#);
    played.docker.unpause_container(&id()).await.unwrap();
    let played = refusing(
        409,
        r#"{"message":"removal of container ab is already in progress"}"#,
    );
    played.docker.remove_container(&id(), true).await.unwrap();
    let played = refusing(304, "");
    played.docker.start_container(&id()).await.unwrap();
    played.docker.stop_container(&id(), 1).await.unwrap();
    let played = refusing(
        400,
        r#"{"message":"all predefined address pools have been fully subnetted"}"#,
    );
    let network = NetworkSpec {
        name: "n".into(),
        subnet: "10.0.0.0/24".into(),
        labels: BTreeMap::new(),
    };
    assert_eq!(
        kind_of(played.docker.create_network(&network).await),
        Kind::AddressSpace
    );
}

#[tokio::test]
async fn a_duplicate_that_only_a_warning_tells_of_is_taken_back() {
    let played = play(|line| {
        Some(if line.starts_with("DELETE") {
            (204, "")
        } else {
            (
                201,
                r#"{"Id":"ab12","Warning":"Network with name n (id : cd) already exists"}"#,
            )
        })
    });
    let network = NetworkSpec {
        name: "n".into(),
        subnet: "10.0.0.0/24".into(),
        labels: BTreeMap::new(),
    };
    assert_eq!(
        kind_of(played.docker.create_network(&network).await),
        Kind::Conflict
    );
    assert!(played.requests.0.lock().unwrap()[1].starts_with("DELETE /networks/ab12 "));
}

#[tokio::test]
async fn an_engine_that_quotes_the_value_is_not_repeated() {
    let quoting = r#"{"message":"invalid environment variable: =canary-value canary-password"}"#;
    for status in [400, 404, 409, 500] {
        let played = refusing(status, quoting);
        let mut spec = spec().await;
        spec.env = vec![EnvVar {
            name: "A".into(),
            value: EnvValue::Slot(SlotId("A".into())),
        }];
        let env = BTreeMap::from([(SlotId("A".into()), Plaintext::new(b"canary-value".to_vec()))]);
        let error = played.docker.create_container(&spec, &env).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        assert!(error.message.contains(&status.to_string()), "{error}");
        let credential = RegistryCredential {
            username: "u".into(),
            password: Plaintext::new(b"canary-password".to_vec()),
            server: "h".into(),
        };
        let error = played
            .docker
            .pull_image("h/i:1", Some(&credential))
            .await
            .unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }
}

#[tokio::test]
async fn a_file_is_asked_for_by_a_quoted_path_and_not_read_without_its_head() {
    let played = refusing(200, "no archive");
    for path in ["/a b/..data", "/a&limit=1"] {
        assert_eq!(
            kind_of(played.docker.read_link(&id(), path).await),
            Kind::Failed,
            "{path}"
        );
        assert_eq!(
            kind_of(played.docker.read_file(&id(), path, 100).await),
            Kind::Failed,
            "{path}"
        );
    }
    let requests = played.requests.0.lock().unwrap();
    let line = |n: usize| requests[n].split("\r\n").next().unwrap().to_owned();
    let archive = format!("/containers/{}/archive?path=", id());
    assert_eq!(line(0), format!("HEAD {archive}%2Fa%20b%2F..data HTTP/1.1"));
    assert_eq!(line(3), format!("GET {archive}%2Fa%26limit%3D1 HTTP/1.1"));
}

#[tokio::test]
async fn an_empty_signal_is_not_sent_as_it_would_kill() {
    let played = refusing(204, "");
    let error = played.docker.signal_container(&id(), "").await.unwrap_err();
    assert_eq!(error.kind, Kind::Invalid, "{error}");
    assert!(played.requests.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_pull_that_fails_after_its_first_byte_has_failed() {
    let played = refusing(
        200,
        "{\"status\":\"Pulling\"}\r\n{\"errorDetail\":{\"message\":\"unauthorized: authentication required\"},\"error\":\"unauthorized: authentication required\"}\r\n",
    );
    assert_eq!(
        kind_of(played.docker.pull_image("h/i:1", None).await),
        Kind::RegistryDenied
    );
    let played = refusing(200, "{\"status\":\"Pulling\"}\r\n{\"status\":\"Done\"}");
    played.docker.pull_image("h/i:1", None).await.unwrap();
}
