//! Who the holder of a verified client certificate is: the common name is the user, each organization a group, as a
//! Kubernetes API server reads them (`x509` request authentication). Pure: that the certificate is ours was checked by TLS.
//! Called by `listener` once per connection.

use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::apiserver::authorize::{AUTHENTICATED, User};

/// The user without credentials.
pub const ANONYMOUS: &str = "system:anonymous";
/// The group of users without credentials.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";

/// Somebody who showed no certificate.
#[must_use]
pub fn anonymous() -> User {
    User {
        name: ANONYMOUS.to_owned(),
        groups: vec![UNAUTHENTICATED.to_owned()],
        ..User::default()
    }
}

/// The holder of a certificate in DER; `None` when it has no common name, so that it names nobody.
#[must_use]
pub fn holder(der: &[u8]) -> Option<User> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let subject = certificate.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?;
    if name.is_empty() {
        return None;
    }
    let mut groups: Vec<String> = subject
        .iter_organization()
        .filter_map(|group| group.as_str().ok())
        .map(str::to_owned)
        .collect();
    groups.push(AUTHENTICATED.to_owned());
    let mut user = User {
        name: name.to_owned(),
        groups,
        ..User::default()
    };
    let digest: String = Sha256::digest(der)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    user.extra.insert(
        "authentication.kubernetes.io/credential-id".to_owned(),
        vec![format!("X509SHA256={digest}")],
    );
    Some(user)
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::{CertificateDer, pem::PemObject};

    use super::*;
    use crate::tls::certificate::{self, DAY};

    #[test]
    fn common_name_is_the_user_and_organization_the_group() {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let authority = certificate::authority(now, DAY, None).unwrap();
        let pair = certificate::client(&authority, now, DAY, "jane", "dev").unwrap();
        let der = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
        let user = holder(&der).unwrap();
        assert_eq!((user.name.as_str(), user.uid.as_str()), ("jane", ""));
        assert_eq!(user.groups, ["dev", "system:authenticated"]);
        assert!(user.extra["authentication.kubernetes.io/credential-id"][0].starts_with("X509SHA256="));
        let nameless = certificate::client(&authority, now, DAY, "", "system:masters").unwrap();
        let der = CertificateDer::from_pem_slice(nameless.certificate.as_bytes()).unwrap();
        assert_eq!(holder(&der), None);
        assert_eq!(holder(b"rubbish"), None);
    }
}
