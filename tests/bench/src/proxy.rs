//! A socket between the operator and Docker that writes down each call: what, when, and how many at once. The operator
//! opens a connection for each call, so that the first line of a connection is the call and its end the call's.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

/// One call.
#[derive(Debug, Clone)]
pub struct Call {
    /// Method and path.
    pub line: String,
    /// When its first bytes came.
    pub began: Instant,
    /// When its connection ended.
    pub ended: Option<Instant>,
}

impl Call {
    /// Whether it changes something that the engine holds. A command in a container, such as a session with an agent,
    /// does not.
    pub fn acts(&self) -> bool {
        let changes = ["POST ", "PUT ", "DELETE "]
            .iter()
            .any(|method| self.line.starts_with(method));
        changes && !self.line.starts_with("POST /exec/") && !self.line.contains("/exec HTTP/")
    }

    /// Whether it stays open for as long as somebody listens.
    fn lasts(&self) -> bool {
        ["/events", "/exec", "/logs"]
            .iter()
            .any(|part| self.line.contains(part))
    }
}

/// How long at least one of these calls was under way between two moments: what the engine took of that time.
pub fn engine_time(calls: &[Call], from: Instant, to: Instant) -> Duration {
    let mut spans: Vec<(Instant, Instant)> = calls
        .iter()
        .filter(|call| !call.lasts())
        .map(|call| (call.began.max(from), call.ended.unwrap_or(to).min(to)))
        .filter(|(began, ended)| began < ended)
        .collect();
    spans.sort_unstable();
    let (mut sum, mut until) = (Duration::ZERO, from);
    for (began, ended) in spans {
        sum += ended.saturating_duration_since(began.max(until));
        until = until.max(ended);
    }
    sum
}

#[derive(Default)]
struct Seen {
    calls: Vec<Call>,
    at_once: usize,
    most: usize,
}

/// See the file's header.
#[derive(Clone)]
pub struct Proxy {
    pub path: PathBuf,
    seen: Arc<Mutex<Seen>>,
}

impl Proxy {
    /// Begins to pass calls on.
    pub fn start(path: PathBuf, engine: &Path) -> Result<Self> {
        let listener = UnixListener::bind(&path)?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (engine, shared) = (engine.to_owned(), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (engine, shared) = (engine.clone(), Arc::clone(&shared));
                tokio::spawn(async move { carry(client, &engine, &shared).await });
            }
        });
        Ok(Self { path, seen })
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }

    /// Where a measurement begins.
    pub fn mark(&self) -> usize {
        let mut seen = self.lock();
        seen.most = seen.at_once;
        seen.calls.len()
    }

    /// The calls since then.
    pub fn since(&self, mark: usize) -> Vec<Call> {
        self.lock().calls.get(mark..).unwrap_or_default().to_vec()
    }

    /// How many were under way at the same time since the last mark, at most.
    pub fn most_at_once(&self) -> usize {
        self.lock().most
    }

    /// Waits until nothing was asked for a while.
    pub async fn quiet(&self, pause: Duration) {
        let (mut last, mut since) = (usize::MAX, Instant::now());
        let given_up = Instant::now() + Duration::from_secs(60);
        while since.elapsed() < pause && Instant::now() < given_up {
            let now = self.lock().calls.len();
            if now != last {
                (last, since) = (now, Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The log of calls since a mark, for people who look for time.
    pub fn log(&self, mark: usize, from: Instant) -> String {
        let calls = self.since(mark);
        let line = |call: &Call| {
            let at = call.began.saturating_duration_since(from).as_secs_f64() * 1e3;
            let took = call.ended.map_or("open".to_owned(), |ended| {
                format!("{:.1}", (ended - call.began).as_secs_f64() * 1e3)
            });
            format!("  +{at:.1} ms {took} ms {}\n", call.line)
        };
        calls.iter().map(line).collect()
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn carry(mut client: UnixStream, engine: &Path, seen: &Mutex<Seen>) {
    let Ok(mut server) = UnixStream::connect(engine).await else {
        return;
    };
    let mut head = vec![0_u8; 16 << 10];
    let Ok(read @ 1..) = client.read(&mut head).await else {
        return;
    };
    let began = Instant::now();
    head.truncate(read);
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let call = Call {
        line: String::from_utf8_lossy(line).into_owned(),
        began,
        ended: None,
    };
    let lasts = call.lasts();
    let index = {
        let mut seen = lock(seen);
        seen.calls.push(call);
        if !lasts {
            seen.at_once += 1;
            seen.most = seen.most.max(seen.at_once);
        }
        seen.calls.len() - 1
    };
    if server.write_all(&head).await.is_ok() {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    }
    let mut seen = lock(seen);
    if !lasts {
        seen.at_once -= 1;
    }
    if let Some(call) = seen.calls.get_mut(index) {
        call.ended = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_which_two_calls_were_under_way_counts_once_and_a_session_does_not() {
        let zero = Instant::now();
        let at = |ms| zero + Duration::from_millis(ms);
        let call = |line: &str, began, ended: Option<u64>| Call {
            line: line.to_owned(),
            began: at(began),
            ended: ended.map(at),
        };
        let calls = [
            call("GET /containers/json HTTP/1.1", 10, Some(30)),
            call("GET /networks HTTP/1.1", 12, Some(40)),
            call("GET /events HTTP/1.1", 0, None),
            call("GET /images/x/json HTTP/1.1", 60, Some(70)),
            call("POST /containers/create HTTP/1.1", 90, None),
        ];
        assert_eq!(engine_time(&calls, at(0), at(90)), Duration::from_millis(40));
        assert_eq!(engine_time(&calls, at(20), at(65)), Duration::from_millis(25));
    }
}
