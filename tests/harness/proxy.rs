//! A socket between an operator and Docker: writes down every request line, and can be "away". The operator opens a
//! connection for each call, so the first line of a connection is the call.

use std::{
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

#[derive(Default)]
struct State {
    lines: Vec<String>,
    live: Vec<UnixStream>,
    away: bool,
    closed: bool,
}

pub struct Proxy {
    pub path: PathBuf,
    state: Arc<Mutex<State>>,
}

impl Proxy {
    /// Before the engine of this socket.
    pub fn start(dir: &Path, engine: PathBuf) -> Self {
        let path = dir.join("docker.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.lock().unwrap().closed {
                    return;
                }
                let (shared, engine) = (Arc::clone(&shared), engine.clone());
                std::thread::spawn(move || carry(&stream, &engine, &shared));
            }
        });
        Self { path, state }
    }

    /// Request lines since the given mark that change something.
    pub fn mutations(&self, since: usize) -> Vec<String> {
        let state = self.state.lock().unwrap();
        // A command in a container, such as a session with an agent, changes nothing that an engine holds.
        let command = |line: &str| line.starts_with("POST /exec/") || line.contains("/exec HTTP/");
        let changes = |line: &&String| {
            ["POST ", "PUT ", "DELETE "].iter().any(|m| line.starts_with(m)) && !command(line)
        };
        state.lines.iter().skip(since).filter(changes).cloned().collect()
    }

    pub fn mark(&self) -> usize {
        self.state.lock().unwrap().lines.len()
    }

    /// Docker goes away: open connections break, new ones are closed at once. Containers run on.
    pub fn set_away(&self, away: bool) {
        let mut state = self.state.lock().unwrap();
        state.away = away;
        if away {
            for stream in state.live.drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set_away(true);
        self.state.lock().unwrap().closed = true;
        let _ = UnixStream::connect(&self.path);
    }
}

fn carry(client: &UnixStream, engine: &Path, state: &Mutex<State>) {
    let Ok(server) = UnixStream::connect(engine) else {
        return;
    };
    {
        let mut state = state.lock().unwrap();
        if state.away {
            return;
        }
        state.live.retain(|s| s.peer_addr().is_ok());
        state
            .live
            .extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
    }
    let (mut up_from, mut up_to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            copy(&server, client);
            // A dead answer ends the question too.
            let _ = client.shutdown(Shutdown::Both);
        });
        let mut head = Vec::new();
        let mut piece = [0u8; 16 << 10];
        while let Ok(n @ 1..) = up_from.read(&mut piece) {
            if !head.contains(&b'\n') {
                head.extend_from_slice(&piece[..n]);
                if let Some(end) = head.iter().position(|b| *b == b'\n') {
                    let line = String::from_utf8_lossy(&head[..end]).trim().to_owned();
                    state.lock().unwrap().lines.push(line);
                }
            }
            if up_to.write_all(&piece[..n]).is_err() {
                break;
            }
        }
        let _ = server.shutdown(Shutdown::Both);
    });
}

fn copy(mut from: &UnixStream, mut to: &UnixStream) {
    let mut piece = [0u8; 64 << 10];
    while let Ok(n @ 1..) = from.read(&mut piece) {
        if to.write_all(&piece[..n]).is_err() {
            return;
        }
    }
}
