//! The serving certificate of the moment, swapped whole under running connections: those go on, new ones see the new
//! one. Owns reading a pair for TLS; which pair is served, and with which settings, is the caller's.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwapOption;
use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::certificate::Pair;

/// A pair cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// No PEM.
    #[error("a certificate or key is no PEM")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// No use for TLS.
    #[error("a certificate or key cannot be used for TLS")]
    Rustls(#[from] rustls::Error),
}

/// What new connections are answered with. Before the first swap that is nothing: no handshake succeeds.
#[derive(Default)]
pub struct Serving(ArcSwapOption<CertifiedKey>);

impl Serving {
    /// From now on new connections see this one.
    ///
    /// # Errors
    /// [`Unusable`]; the old one stays.
    pub fn swap(&self, pair: &Pair) -> Result<(), Unusable> {
        let chain =
            CertificateDer::pem_slice_iter(pair.certificate.as_bytes()).collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes())?;
        let certified = CertifiedKey::from_der(chain, key, &ring::default_provider())?;
        self.0.store(Some(Arc::new(certified)));
        Ok(())
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.0.load().is_some()
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Serving")
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}
