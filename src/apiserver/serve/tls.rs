//! TLS of the listener: ring, versions 1.2 and 1.3, h2 before http/1.1, client certificates of our authority if the
//! client shows one. Owns the configuration; the serving certificate and its swap are `crate::tls`'s.
//! Makes no certificate. Called by `listener`.

use std::{fmt, sync::Arc, time::Duration};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, UnixTime, pem::PemObject},
    server::{NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier},
    time_provider::TimeProvider,
};

use super::pki::Material;
use crate::{
    clock::Clock,
    tls::{
        certificate::Pair,
        serving::{Serving, Unusable},
    },
};

/// TLS cannot be used with these certificates.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// No PEM.
    #[error("a certificate or key is no PEM")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// No use for TLS.
    #[error("a certificate or key cannot be used for TLS")]
    Rustls(#[from] rustls::Error),
    /// The authority cannot verify clients.
    #[error("the authority's certificate cannot verify clients: {0}")]
    Verifier(String),
}

/// Our clock, for the validity of client certificates.
struct Now(Arc<dyn Clock>);

impl fmt::Debug for Now {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Now")
    }
}

impl TimeProvider for Now {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// What connections are accepted with. Cloning shares it.
#[derive(Clone)]
pub struct Tls {
    serving: Arc<Serving>,
    /// For an acceptor.
    pub config: Arc<ServerConfig>,
}

impl Tls {
    /// From the certificates of the start. The authority stays for the life of the process: renewed, it has the same key.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn new(material: &Material, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(
            material.authority.certificate.as_bytes(),
        )?)?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .map_err(|error| TlsError::Verifier(error.to_string()))?;
        let serving = Arc::new(Serving::default());
        serving.swap(&material.serving)?;
        let resolver: Arc<dyn ResolvesServerCert> = serving.clone();
        let mut config = ServerConfig::builder_with_details(Arc::clone(&provider), Arc::new(Now(clock)))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // A resumed session would outlive the client's certificate, and a full handshake on loopback costs little.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self {
            serving,
            config: Arc::new(config),
        })
    }

    /// From now on new connections see this certificate.
    ///
    /// # Errors
    /// [`TlsError`]; the old one stays.
    pub fn swap(&self, serving: &Pair) -> Result<(), TlsError> {
        Ok(self.serving.swap(serving)?)
    }
}
