//! The way to a dockerd over TCP and TLS, as a remote one is reached: an authority with a certificate for either side, and a
//! relay into the network namespace in which the case's own engine listens. The relay sees sealed bytes only.

use std::{
    fs::File,
    io,
    net::{Shutdown, TcpListener, TcpStream},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

/// Where a daemon of a network namespace of its own listens.
const INSIDE: &str = "127.0.0.1:2376";

pub struct Remote {
    /// `ca.pem`, `cert.pem` and `key.pem` of a client.
    pub client: PathBuf,
    /// The same of the daemon.
    server: PathBuf,
    /// What `--docker-host` names.
    pub address: String,
}

impl Remote {
    /// Files below `dir`; connections go into the network namespace of a process.
    pub fn new(dir: &Path, namespace: u32) -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let issue = |side: &str, purpose| {
            let files = dir.join(side);
            std::fs::create_dir(&files).unwrap();
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
            params.extended_key_usages = vec![purpose];
            let certificate = params.signed_by(&key, &issuer).unwrap();
            std::fs::write(files.join("ca.pem"), &authority).unwrap();
            std::fs::write(files.join("cert.pem"), certificate.pem()).unwrap();
            std::fs::write(files.join("key.pem"), key.serialize_pem()).unwrap();
            files
        };
        Self {
            client: issue("client", ExtendedKeyUsagePurpose::ClientAuth),
            server: issue("server", ExtendedKeyUsagePurpose::ServerAuth),
            address: format!("tcp://{}", relay(namespace)),
        }
    }

    /// What makes dockerd listen.
    pub fn flags(&self) -> Vec<String> {
        let file = |name: &str| self.server.join(name).display().to_string();
        vec![
            format!("--host=tcp://{INSIDE}"),
            "--tlsverify".to_owned(),
            format!("--tlscacert={}", file("ca.pem")),
            format!("--tlscert={}", file("cert.pem")),
            format!("--tlskey={}", file("key.pem")),
        ]
    }
}

/// Listens here, and speaks there; its address. It ends with the process.
fn relay(namespace: u32) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for near in listener.incoming().flatten() {
            std::thread::spawn(move || {
                // Nobody there: the connection is closed, as a host does.
                if let Ok(far) = connect_in(namespace) {
                    let back = (far.try_clone().unwrap(), near.try_clone().unwrap());
                    let other = std::thread::spawn(move || copy(back.0, back.1));
                    copy(near, far);
                    let _ = other.join();
                }
            });
        }
    });
    address
}

fn connect_in(namespace: u32) -> io::Result<TcpStream> {
    let file = File::open(format!("/proc/{namespace}/ns/net"))?;
    #[allow(unsafe_code, reason = "no safe name for it is among what is linked")]
    // SAFETY: it takes a descriptor that is open, and changes the calling thread alone, which ends with its connection.
    let entered = unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) };
    if entered != 0 {
        return Err(io::Error::last_os_error());
    }
    TcpStream::connect(INSIDE)
}

/// All of one direction, its end too: a command's stdin ends where the client says so.
fn copy(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
