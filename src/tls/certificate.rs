//! Certificates as values: what ours say, how they are issued, and when they are due for another. Owns names and
//! extensions; touches no file and asks no clock. Called by whoever keeps certificates: the API server, and the webhooks.
//! The authority is named the same in every installation; that a leaf is of this one is seen by its key identifier.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber, date_time_ymd,
};
use x509_parser::{extensions::ParsedExtension, prelude::X509Certificate};
use zeroize::Zeroizing;

/// A day, the unit of lifetimes.
pub const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Clocks of one machine jump by a little; a certificate is valid from before its making.
const BEFORE: SignedDuration = SignedDuration::from_hours(1);

/// A certificate and its key, both PEM.
#[derive(Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The private key, PKCS#8.
    pub key: Zeroizing<String>,
}

/// A certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// It could not be made.
    #[error("a certificate could not be made")]
    Make(#[from] rcgen::Error),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes for a certificate's number")]
    NoEntropy,
    /// What is there is no certificate of ours.
    #[error("it holds no certificate and key in PEM")]
    Unreadable,
    /// A certificate of the authority's would end after the authority.
    #[error("the time {0} cannot be written in a certificate")]
    Time(Timestamp),
}

/// What a certificate says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// From when.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
    /// Subject key identifier.
    pub key_id: Vec<u8>,
    /// Authority key identifier; empty for a self-signed one.
    pub issuer_id: Vec<u8>,
    /// DNS names and addresses, sorted.
    pub names: Vec<String>,
}

impl Facts {
    /// Whether it is time for another: less than a third of its life is left, or it is not valid yet.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        let life = self.not_after.duration_since(self.not_before);
        let left = self.not_after.duration_since(now);
        now < self.not_before || left < life / 3
    }
}

fn names(found: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternative)) = found.subject_alternative_name() else {
        return Vec::new();
    };
    let mut names: Vec<String> = alternative
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            x509_parser::extensions::GeneralName::DNSName(name) => Some((*name).to_owned()),
            x509_parser::extensions::GeneralName::IPAddress(bytes) => address(bytes),
            _ => None,
        })
        .collect();
    names.sort();
    names
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(four).to_string());
    }
    Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?).to_string())
}

impl Pair {
    /// Both in one text, so that a rename replaces both.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}{}", self.certificate, *self.key))
    }

    /// Reads what [`Pair::to_pem`] wrote.
    ///
    /// # Errors
    /// [`CertificateError::Unreadable`].
    pub fn from_pem(text: &[u8]) -> Result<Self, CertificateError> {
        let text = std::str::from_utf8(text).map_err(|_| CertificateError::Unreadable)?;
        let end = "-----END CERTIFICATE-----";
        let at = text.find(end).ok_or(CertificateError::Unreadable)? + end.len();
        let (certificate, key) = text.split_at(at);
        let pair = Self {
            certificate: format!("{certificate}\n"),
            key: Zeroizing::new(key.trim_start().to_owned()),
        };
        KeyPair::from_pem(&pair.key).map_err(|_| CertificateError::Unreadable)?;
        pair.facts()?;
        Ok(pair)
    }

    /// What the certificate says.
    ///
    /// # Errors
    /// [`CertificateError::Unreadable`].
    pub fn facts(&self) -> Result<Facts, CertificateError> {
        facts(&self.certificate)
    }
}

/// What a certificate, PEM, says.
///
/// # Errors
/// [`CertificateError::Unreadable`].
pub fn facts(certificate: &str) -> Result<Facts, CertificateError> {
    let unreadable = || CertificateError::Unreadable;
    let (_, pem) = x509_parser::pem::parse_x509_pem(certificate.as_bytes()).map_err(|_| unreadable())?;
    let found = pem.parse_x509().map_err(|_| unreadable())?;
    let (mut key_id, mut issuer_id) = (Vec::new(), Vec::new());
    for extension in found.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => key_id = id.0.to_vec(),
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                issuer_id = id
                    .key_identifier
                    .as_ref()
                    .map(|id| id.0.to_vec())
                    .unwrap_or_default();
            }
            _ => {}
        }
    }
    let time = |time: x509_parser::time::ASN1Time| {
        Timestamp::from_second(time.timestamp()).map_err(|_| CertificateError::Unreadable)
    };
    Ok(Facts {
        not_before: time(found.validity().not_before)?,
        not_after: time(found.validity().not_after)?,
        key_id,
        issuer_id,
        names: names(&found),
    })
}

fn key_pair() -> Result<KeyPair, CertificateError> {
    Ok(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?)
}

fn params(
    common_name: &str,
    now: Timestamp,
    life: SignedDuration,
) -> Result<CertificateParams, CertificateError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let seconds = |at: Timestamp| {
        u64::try_from(at.as_second())
            .map(std::time::Duration::from_secs)
            .map_err(|_| CertificateError::Time(at))
    };
    let epoch = date_time_ymd(1970, 1, 1);
    let start = (now - BEFORE).max(Timestamp::UNIX_EPOCH);
    params.not_before = epoch + seconds(start)?;
    params.not_after = epoch + seconds(now + life)?;
    let mut serial = [0; 16];
    getrandom::fill(&mut serial).map_err(|_| CertificateError::NoEntropy)?;
    // Positive, and of the same length always.
    serial[0] = serial[0] & 0x3f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

fn authority_params(now: Timestamp, life: SignedDuration) -> Result<CertificateParams, CertificateError> {
    let mut params = params("supercargo-ca", now, life)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    Ok(params)
}

/// A new authority, or the same one for longer when its `key` is given: what it issued stays valid.
///
/// # Errors
/// [`CertificateError`].
pub fn authority(now: Timestamp, life: SignedDuration, key: Option<&str>) -> Result<Pair, CertificateError> {
    let key = match key {
        Some(pem) => KeyPair::from_pem(pem)?,
        None => key_pair()?,
    };
    let certificate = authority_params(now, life)?.self_signed(&key)?;
    Ok(Pair {
        certificate: certificate.pem(),
        key: Zeroizing::new(key.serialize_pem()),
    })
}

/// For a server that calls itself `subject` and is reached under these names and addresses. A name that DNS does not
/// allow is left out.
///
/// # Errors
/// [`CertificateError`].
pub fn serving(
    authority: &Pair,
    now: Timestamp,
    life: SignedDuration,
    subject: &str,
    names: &[String],
) -> Result<Pair, CertificateError> {
    let mut params = params(subject, now, life)?;
    params.subject_alt_names = names.iter().filter_map(|name| alternative(name)).collect();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    issue(authority, now, params)
}

fn alternative(name: &str) -> Option<SanType> {
    match name.parse::<IpAddr>() {
        Ok(address) => Some(SanType::IpAddress(address)),
        Err(_) => Some(SanType::DnsName(name.try_into().ok()?)),
    }
}

/// For a client that is this user of this group.
///
/// # Errors
/// [`CertificateError`].
pub fn client(
    authority: &Pair,
    now: Timestamp,
    life: SignedDuration,
    user: &str,
    group: &str,
) -> Result<Pair, CertificateError> {
    let mut params = params(user, now, life)?;
    params.distinguished_name.push(DnType::OrganizationName, group);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    issue(authority, now, params)
}

fn issue(authority: &Pair, now: Timestamp, mut params: CertificateParams) -> Result<Pair, CertificateError> {
    params.use_authority_key_identifier_extension = true;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let issuer = Issuer::new(authority_params(now, DAY)?, KeyPair::from_pem(&authority.key)?);
    let key = key_pair()?;
    let certificate = params.signed_by(&key, &issuer)?;
    Ok(Pair {
        certificate: certificate.pem(),
        key: Zeroizing::new(key.serialize_pem()),
    })
}
