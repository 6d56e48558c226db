//! A thousand HTTP probes every ten seconds, asked by the agent alone: this program gives it its orders over its session,
//! as the operator would, and is the thousand replicas, each at an address of its own on loopback.

use std::{
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
};

use crate::{
    subject::cpu,
    table::{Row, Target, Unit},
};

const PROBES: usize = 1_000;
const PERIOD: usize = 10;
/// How long it is looked at, after as long for its beginning.
const LOOK: Duration = Duration::from_secs(60);

/// Answers everybody with 200, and counts.
async fn serve() -> Result<(u16, Arc<AtomicUsize>)> {
    let listener = TcpListener::bind("0.0.0.0:0").await?;
    let port = listener.local_addr()?.port();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                let mut request = [0_u8; 1024];
                if let Ok(1..) = stream.read(&mut request).await {
                    count.fetch_add(1, Ordering::Relaxed);
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
                    _ = stream.write_all(answer).await;
                    _ = stream.shutdown().await;
                }
            });
        }
    });
    Ok((port, asked))
}

fn order(port: u16) -> String {
    let members: Vec<_> = (0..PROBES)
        .map(|n| {
            json!({
                "container": format!("{n:064x}"), "startedAt": jiff::Timestamp::now().to_string(),
                "address": format!("127.1.{}.{}", n / 250, n % 250 + 1), "serving": true, "gate": true,
                "probes": {"readiness": {
                    "check": {"http": {"tls": false, "port": port, "path": "/", "headers": []}},
                    "initialDelaySeconds": 0, "periodSeconds": PERIOD, "timeoutSeconds": 1, "successThreshold": 1,
                    "failureThreshold": 3,
                }},
                "known": {"started": true, "ready": false, "alive": true},
            })
        })
        .collect();
    json!({"order": "set", "deployment": "many", "sequence": 1, "members": members}).to_string()
}

fn agent(program: &Path, args: &[&str]) -> Result<Child> {
    let mut command = Command::new(program);
    command
        .arg("agent")
        .args(args)
        .kill_on_drop(true)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    Ok(command.spawn()?)
}

/// The row.
pub async fn run(program: &Path) -> Result<Vec<Row>> {
    let (port, asked) = serve().await?;
    let socket = format!("supercargo-bench-{}", std::process::id());
    let server = agent(
        program,
        &[
            "--namespace",
            "bench",
            "--dns",
            "127.0.0.1:0",
            "--socket",
            &socket,
        ],
    )?;
    let mut session = agent(program, &["session", "--socket", &socket])?;
    let mut input = session.stdin.take().context("no stdin")?;
    let mut words = BufReader::new(session.stdout.take().context("no stdout")?).lines();
    let hello = words.next_line().await?.context("the agent says nothing")?;
    eprintln!("agent: {hello}");
    input.write_all(format!("{}\n", order(port)).as_bytes()).await?;
    tokio::spawn(async move { while let Ok(Some(_)) = words.next_line().await {} });
    // Its beginning, when all are asked at once, is not what is looked at.
    tokio::time::sleep(Duration::from_secs(2 * PERIOD as u64)).await;
    let pid = server.id().context("the agent has ended")?;
    let (before, count) = (cpu(pid)?, asked.load(Ordering::Relaxed));
    tokio::time::sleep(LOOK).await;
    let used = 100.0 * (cpu(pid)? - before) / LOOK.as_secs_f64();
    let count = asked.load(Ordering::Relaxed) - count;
    eprintln!("{count} probes in {} s: {used:.2} % of a core", LOOK.as_secs());
    let due = PROBES * LOOK.as_secs() as usize / PERIOD;
    if count < due * 9 / 10 {
        bail!("{count} probes were asked where {due} were due");
    }
    Ok(vec![Row::plain(
        "1,000 http probes every 10 s: processor time of the agent, of one core",
        Unit::Percent,
        used,
        Target::AtMost(3.0),
        "A connection, a request and an answer for each of a hundred probes a second.",
    )])
}
