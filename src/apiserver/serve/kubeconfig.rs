//! The admin's kubeconfig: one context, everything embedded. Owns its text and that it is rewritten only when something
//! in it changed. What is in it is `pki`'s. Called by `cli` at start and when certificates were renewed.

use std::path::Path;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use super::{
    pki::Material,
    private_file::{self, FileError},
};
use crate::tls::certificate::Pair;

/// The name of the cluster, the user and the context.
const NAME: &str = "supercargo";

/// The text: `server` is an URL, `authority` a PEM certificate.
#[must_use]
pub fn text(server: &str, authority: &str, client: &Pair) -> Zeroizing<String> {
    let base64 = |text: &str| Zeroizing::new(Base64::encode_string(text.as_bytes()));
    Zeroizing::new(format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: {NAME}\n  cluster:\n    server: {server}\n    \
         certificate-authority-data: {}\nusers:\n- name: {NAME}\n  user:\n    client-certificate-data: {}\n    \
         client-key-data: {}\ncontexts:\n- name: {NAME}\n  context:\n    cluster: {NAME}\n    user: {NAME}\n\
         current-context: {NAME}\n",
        *base64(authority),
        *base64(&client.certificate),
        *base64(&client.key),
    ))
}

/// Writes it to `path` unless it stands there already; answers whether it was written.
///
/// # Errors
/// It cannot be read or written, or others could read it.
pub fn keep(path: &Path, me: u32, server: &str, material: &Material) -> Result<bool, FileError> {
    let text = text(server, &material.authority.certificate, &material.admin);
    if private_file::read(path, me)?.is_some_and(|found| found.as_slice() == text.as_bytes()) {
        return Ok(false);
    }
    private_file::write(path, text.as_bytes())?;
    Ok(true)
}
