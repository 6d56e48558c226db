//! The adapter over TCP: each side proves itself to the other by a certificate of the one authority in the files.

use std::{path::Path, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{RootCertStore, ServerConfig, pki_types::PrivateKeyDer, server::WebPkiClientVerifier};
use supercargo::engine::{
    Daemon, Kind,
    bollard::{Docker, Endpoint, TlsFiles},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::lab::kind_of;

struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    fn issue(&self) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// What a client of this authority has on its disk.
    fn files(&self, dir: &Path) -> TlsFiles {
        let (certificate, key) = self.issue();
        let files = TlsFiles::in_dir(dir);
        std::fs::write(&files.ca, self.certificate.pem()).unwrap();
        std::fs::write(&files.cert, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }
}

/// An engine that says "OK" to clients of this authority alone; answers its address.
async fn serve(authority: &Authority) -> String {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .unwrap();
    let (certificate, key) = authority.issue();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
                    .await;
                let _ = stream.shutdown().await;
            }
        }
    });
    address
}

fn client(address: &str, files: TlsFiles) -> Docker {
    Docker::connect(&Endpoint::parse(address, Some(files), false).unwrap()).unwrap()
}

#[tokio::test]
async fn both_sides_prove_themselves() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let address = serve(&ours).await;
    client(&address, ours.files(dirs[0].path())).ping().await.unwrap();
    // An engine of another authority is not spoken to.
    let error = client(&address, theirs.files(dirs[1].path()))
        .ping()
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::Unreachable);
    assert!(error.message.contains("certificate"), "{error}");
    // A client of another authority is not served.
    let files = theirs.files(dirs[2].path());
    std::fs::write(&files.ca, ours.certificate.pem()).unwrap();
    assert_eq!(kind_of(client(&address, files).ping().await), Kind::Unreachable);
}

#[test]
fn a_file_that_is_missing_or_empty_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let files = Authority::new().files(dir.path());
    for path in [&files.ca, &files.cert, &files.key] {
        let content = std::fs::read(path).unwrap();
        for broken in [Some(""), None] {
            match broken {
                Some(text) => std::fs::write(path, text).unwrap(),
                None => std::fs::remove_file(path).unwrap(),
            }
            let endpoint = Endpoint::parse("tcp://127.0.0.1", Some(files.clone()), false).unwrap();
            let error = Docker::connect(&endpoint).err().unwrap();
            assert_eq!(error.kind, Kind::Invalid);
            assert!(error.message.contains(&*path.to_string_lossy()), "{error}");
        }
        std::fs::write(path, content).unwrap();
    }
}
