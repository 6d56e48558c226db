//! What systemd wants to know (`sd_notify(3)`): that the program is ready, that it stops, and that it is alive. Owns the
//! protocol, a datagram to the socket in `NOTIFY_SOCKET`; without that variable it says nothing. Called by `standalone`.

use std::{
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    time::Duration,
};

/// Tells the service manager.
#[derive(Debug, Default)]
pub(super) struct Notify {
    to: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "variables of systemd, which have no flag"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Notify {
    /// As the service manager asks for.
    pub(super) fn from_environment() -> Self {
        let own = |pid: String| pid.parse() == Ok(std::process::id());
        let for_us = environment("WATCHDOG_PID").is_none_or(own);
        let watchdog = environment("WATCHDOG_USEC").filter(|_| for_us);
        Self::new(environment("NOTIFY_SOCKET").as_deref(), watchdog.as_deref())
    }

    fn new(socket: Option<&str>, watchdog: Option<&str>) -> Self {
        let to = socket.and_then(|path| {
            let address = match path.strip_prefix('@') {
                Some(name) => SocketAddr::from_abstract_name(name),
                None => SocketAddr::from_pathname(path),
            };
            Some((UnixDatagram::unbound().ok()?, address.ok()?))
        });
        let interval = watchdog
            .and_then(|text| text.parse().ok())
            .map(Duration::from_micros);
        Self {
            to,
            watchdog: interval.filter(|interval| !interval.is_zero()),
        }
    }

    /// Sends; a service manager that does not listen is no trouble of ours.
    pub(super) fn say(&self, state: &str) {
        if let Some((socket, address)) = &self.to {
            let _nobody_listens = socket.send_to_addr(state.as_bytes(), address);
        }
    }

    /// How often to say that the program is alive: twice as often as is asked for.
    pub(super) fn alive_every(&self) -> Option<Duration> {
        self.watchdog.map(|interval| interval / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_arrives_at_a_socket_by_path_and_by_abstract_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let abstract_name = format!("supercargo-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        for (socket, name) in [
            (
                UnixDatagram::bind(&path).unwrap(),
                path.to_str().unwrap().to_owned(),
            ),
            (
                UnixDatagram::bind_addr(&address).unwrap(),
                format!("@{abstract_name}"),
            ),
        ] {
            let notify = Notify::new(Some(&name), Some("3000000"));
            notify.say("READY=1");
            let mut said = [0; 64];
            let count = socket.recv(&mut said).unwrap();
            assert_eq!(&said[..count], b"READY=1");
            assert_eq!(notify.alive_every(), Some(Duration::from_millis(1_500)));
        }
    }

    #[test]
    fn without_a_service_manager_nothing_is_said() {
        Notify::new(None, None).say("READY=1");
        Notify::new(Some("/nonexistent/socket"), None).say("READY=1");
        assert_eq!(Notify::new(None, Some("0")).alive_every(), None);
        assert_eq!(Notify::new(None, Some("x")).alive_every(), None);
    }
}
