//! TLS of the listener: ring, versions 1.2 and 1.3, h2 before http/1.1, client certificates of our authority if the
//! client shows one. Owns the configuration and the swap of the serving certificate under running connections.
//! Makes no certificate. Called by `listener`.

use std::{fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
    time_provider::TimeProvider,
};

use super::{certificate::Pair, pki::Material};
use crate::clock::Clock;

/// TLS cannot be used with these certificates.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
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

/// The serving certificate of the moment.
struct Serving(ArcSwap<CertifiedKey>);

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Serving")
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
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
    provider: Arc<CryptoProvider>,
    /// For an acceptor.
    pub config: Arc<ServerConfig>,
}

fn certified(pair: &Pair, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes())?;
    Ok(CertifiedKey::from_der(chain, key, provider)?)
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
        let serving = Arc::new(Serving(ArcSwap::from_pointee(certified(
            &material.serving,
            &provider,
        )?)));
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
            provider,
            config: Arc::new(config),
        })
    }

    /// From now on new connections see this certificate.
    ///
    /// # Errors
    /// [`TlsError`]; the old one stays.
    pub fn swap(&self, serving: &Pair) -> Result<(), TlsError> {
        self.serving
            .0
            .store(Arc::new(certified(serving, &self.provider)?));
        Ok(())
    }
}
