//! A TCP proxy that can cut what goes through it. It knows nothing of TLS.

use std::{
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use crate::Dice;

pub struct Proxy {
    pub port: u16,
    live: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    pub fn start(to: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let live = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&live);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // While the server is away, its clients are turned away, too.
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)) else {
                    continue;
                };
                shared.lock().unwrap().push(client.try_clone().unwrap());
                let (up, down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || carry(client, server));
                std::thread::spawn(move || carry(down, up));
            }
        });
        Self { port, live }
    }

    /// Cuts about half of the connections, sometimes all; how many.
    pub fn cut(&self, dice: &Dice) -> usize {
        let mut live = self.live.lock().unwrap();
        let all = dice.below(4) == 0;
        let before = live.len();
        live.retain(|stream| {
            let keep = !all && dice.below(2) == 0;
            if !keep {
                let _ = stream.shutdown(Shutdown::Both);
            }
            keep
        });
        before - live.len()
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
