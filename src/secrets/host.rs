//! Registry credentials of the host: what the `config.json` of `docker login` holds, or the credential helper that it names. For
//! deployments with `useHostCredentials`, where the operator permits it, and after their own pull secrets. A helper gets the
//! registry on its input, nothing in its arguments, and ten seconds; no word that it says is shown, as it may be a
//! password. Everything is read anew for each pull. Called by `controllers`, before a pull only.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, process::Stdio, time::Duration};

use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
};
use zeroize::Zeroizing;

use super::pull::{Auth, canonical, host};
use crate::{seal::Plaintext, state::plaintext::RegistryCredential};

/// How long a helper may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most bytes of a config file and of a helper's answer.
const LONGEST: usize = 256 * 1024;
/// What a helper says that has no credential for a registry, as all of them do.
const NONE: &[u8] = b"credentials not found in native keychain";
/// What Docker's own registry is called in config files and by helpers.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Why the host's credentials are not known. None of these says what a file or a helper said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// The file is there and cannot be read.
    #[error(
        "the Docker config file of the operator cannot be read: {0}; let its user read it, or set DOCKER_CONFIG"
    )]
    Unreadable(std::io::ErrorKind),
    /// The file is not what `docker login` writes.
    #[error("the Docker config file of the operator is not JSON as `docker login` writes it; write it anew")]
    Malformed,
    /// The name of a helper is none.
    #[error(
        "the Docker config file of the operator names a credential helper with other characters than a-z, 0-9 and . _ -; \
         correct credsStore or credHelpers"
    )]
    Name,
    /// There is no such program.
    #[error("docker-credential-{0} cannot be run; install it where the operator's PATH finds it")]
    Absent(String),
    /// It did not answer in time.
    #[error(
        "docker-credential-{0} did not answer within 10 s; try `docker-credential-{0} get` as the operator's user"
    )]
    Late(String),
    /// It ended otherwise than well.
    #[error("docker-credential-{0} failed; try `docker-credential-{0} get` as the operator's user")]
    Failed(String),
    /// Its answer is no credential.
    #[error(
        "docker-credential-{0} answered something else than a credential; install one that fits this registry"
    )]
    Rubbish(String),
}

/// Where the host's credentials are.
#[derive(Debug, Clone)]
pub struct HostCredentials {
    config: PathBuf,
    /// Where helpers are looked for; the operator's own PATH when absent.
    search: Option<OsString>,
}

/// Docker's config file, as far as it concerns us.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: Option<String>,
}

/// What a helper answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: Zeroizing<String>,
}

impl HostCredentials {
    /// Those of a `config.json`, which need not exist.
    #[must_use]
    pub fn new(config: PathBuf) -> Self {
        Self { config, search: None }
    }

    /// The credential for a registry (`docker.io`, `host:port`), if the host has one.
    ///
    /// # Errors
    /// The file or the helper; see [`HostError`].
    pub async fn find(&self, registry: &str) -> Result<Option<RegistryCredential>, HostError> {
        let Some(stored) = self.read().await? else {
            return Ok(None);
        };
        let of = |server: &&String| host(server) == canonical(registry);
        let own = stored.cred_helpers.iter().find(|(server, _)| of(server));
        if let Some(helper) = own.map(|(_, helper)| helper).or(stored.creds_store.as_ref()) {
            let server = match registry {
                "docker.io" => DOCKER_HUB,
                other => other,
            };
            return self.ask(helper, server).await;
        }
        let found = stored.auths.iter().find(|(server, _)| of(server));
        Ok(found.and_then(|(server, auth)| auth.credential(server)))
    }

    async fn read(&self) -> Result<Option<Stored>, HostError> {
        let unreadable = |error: std::io::Error| HostError::Unreadable(error.kind());
        let file = match tokio::fs::File::open(&self.config).await {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        };
        let text = bounded(file).await.map_err(unreadable)?;
        // The parser's error quotes its input, so it is dropped.
        let stored = serde_json::from_slice(&text).map_err(|_quotes_plaintext| HostError::Malformed)?;
        Ok(Some(stored))
    }

    async fn ask(&self, helper: &str, server: &str) -> Result<Option<RegistryCredential>, HostError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        if helper.is_empty() || helper.len() > 64 || !helper.chars().all(plain) {
            return Err(HostError::Name);
        }
        let mut command = Command::new(format!("docker-credential-{helper}"));
        command
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        if let Some(search) = &self.search {
            command.env("PATH", search);
        }
        let child = command
            .spawn()
            .map_err(|_not_there| HostError::Absent(helper.to_owned()))?;
        let answered = tokio::time::timeout(PATIENCE, answer(child, server)).await;
        let (well, text) = answered
            .map_err(|_elapsed| HostError::Late(helper.to_owned()))?
            .map_err(|_broken| HostError::Failed(helper.to_owned()))?;
        if !well {
            return match text.trim_ascii() {
                NONE => Ok(None),
                _ => Err(HostError::Failed(helper.to_owned())),
            };
        }
        let answer: Answer = serde_json::from_slice(&text)
            .map_err(|_quotes_plaintext| HostError::Rubbish(helper.to_owned()))?;
        if answer.secret.is_empty() {
            return Err(HostError::Rubbish(helper.to_owned()));
        }
        Ok(Some(RegistryCredential {
            username: answer.username,
            password: Plaintext::new(answer.secret.as_bytes().to_vec()),
            server: server.to_owned(),
        }))
    }
}

/// Whether a helper ended well, and what it said.
async fn answer(mut child: Child, server: &str) -> std::io::Result<(bool, Zeroizing<Vec<u8>>)> {
    if let Some(mut input) = child.stdin.take() {
        // One that does not read what it is asked may answer all the same.
        let _not_read = input.write_all(format!("{server}\n").as_bytes()).await;
    }
    let text = match child.stdout.take() {
        Some(output) => bounded(output).await?,
        None => Zeroizing::default(),
    };
    Ok((child.wait().await?.success(), text))
}

/// All of it, in a buffer that never grows and leaves no copy behind.
async fn bounded(from: impl tokio::io::AsyncRead + Unpin) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
    let mut from = from.take(LONGEST as u64);
    while from.read_buf(&mut *text).await? > 0 {}
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    struct Home(tempfile::TempDir);

    impl Home {
        fn with(config: &str) -> Self {
            let home = Self(tempfile::tempdir().unwrap());
            fs::write(home.0.path().join("config.json"), config).unwrap();
            home
        }

        fn helper(self, name: &str, script: &str) -> Self {
            let path = self.0.path().join(format!("docker-credential-{name}"));
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
            self
        }

        async fn find(&self, registry: &str) -> Result<Option<(String, String)>, HostError> {
            let found = HostCredentials {
                config: self.0.path().join("config.json"),
                search: Some(format!("{}:/usr/bin:/bin", self.0.path().display()).into()),
            };
            let found = found.find(registry).await?;
            let text = |c: RegistryCredential| String::from_utf8(c.password.expose().to_vec()).unwrap();
            Ok(found.map(|c| (c.username.clone(), text(c))))
        }
    }

    fn pair(username: &str, password: &str) -> Option<(String, String)> {
        Some((username.to_owned(), password.to_owned()))
    }

    /// Answers with what it was asked, in its arguments and on its input.
    const ECHO: &str = r#"read server; printf '{"ServerURL":"%s","Username":"%s","Secret":"of %s"}' "$server" "$*" "$server""#;

    #[tokio::test]
    async fn a_file_gives_logins_and_identity_tokens_and_nothing_for_other_registries() {
        let home = Home::with(
            r#"{"auths":{"https://index.docker.io/v1/":{"auth":"YTpi"},"r:5000":{"auth":"YTo=","identitytoken":"T"},"e:1":{}}}"#,
        );
        assert_eq!(home.find("docker.io").await, Ok(pair("a", "b")));
        assert_eq!(home.find("r:5000").await, Ok(pair("<token>", "T")));
        assert_eq!(home.find("e:1").await, Ok(None));
        assert_eq!(home.find("ghcr.io").await, Ok(None));
        let nothing = HostCredentials::new(home.0.path().join("absent"));
        assert!(nothing.find("docker.io").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_helper_is_asked_on_its_input_and_one_for_the_registry_goes_before_the_store() {
        let config = r#"{"auths":{"r:5000":{}},"credHelpers":{"r:5000":"own"},"credsStore":"store"}"#;
        let home = Home::with(config).helper("store", ECHO).helper(
            "own",
            r#"cat >/dev/null; echo '{"Username":"<token>","Secret":"t"}'"#,
        );
        assert_eq!(home.find("r:5000").await, Ok(pair("<token>", "t")));
        assert_eq!(home.find("ghcr.io").await, Ok(pair("get", "of ghcr.io")));
        let hub = "of https://index.docker.io/v1/";
        assert_eq!(home.find("docker.io").await, Ok(pair("get", hub)));
    }

    #[tokio::test]
    async fn a_helper_without_a_credential_is_no_failure_and_every_failure_is_its_own() {
        let config = r#"{"credsStore":"x"}"#;
        let none = Home::with(config).helper("x", "echo credentials not found in native keychain; exit 1");
        assert_eq!(none.find("r").await, Ok(None));
        let name = || "x".to_owned();
        assert_eq!(Home::with(config).find("r").await, Err(HostError::Absent(name())));
        for (script, error) in [
            (
                "echo hunter2; echo hunter2 >&2; exit 1",
                HostError::Failed(name()),
            ),
            ("kill -9 $$", HostError::Failed(name())),
            ("echo hunter2", HostError::Rubbish(name())),
            (r#"echo '{"Username":"hunter2"}'"#, HostError::Rubbish(name())),
            (
                r#"echo '{"Username":"a","Secret":""}'"#,
                HostError::Rubbish(name()),
            ),
            ("head -c 400000 /dev/zero", HostError::Failed(name())),
        ] {
            let failed = Home::with(config)
                .helper("x", script)
                .find("r")
                .await
                .unwrap_err();
            assert_eq!(failed, error, "{script}");
            assert!(!format!("{failed} {failed:?}").contains("hunter2"));
        }
    }

    #[tokio::test]
    async fn a_helper_that_hangs_is_ended() {
        let home = Home::with(r#"{"credsStore":"x"}"#).helper("x", "echo $$ >\"$0.pid\"; exec sleep 600");
        // Time passes while nothing else is to be done, so the wait for a process that says nothing is over at once.
        let began = std::time::Instant::now();
        let late = home.find("r").await;
        assert_eq!(late, Err(HostError::Late("x".to_owned())));
        assert!(began.elapsed() >= PATIENCE);
        let pid = fs::read_to_string(home.0.path().join("docker-credential-x.pid")).unwrap();
        let gone = || match fs::read_to_string(format!("/proc/{}/stat", pid.trim())) {
            Ok(stat) => stat.contains(") Z "),
            Err(_) => true,
        };
        while !gone() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_name_that_is_a_path_or_an_option_is_not_run_and_a_bad_file_is_not_quoted() {
        for name in ["../x", "/bin/x", "a b", "X", "", "a\u{0}b"] {
            let config = serde_json::json!({"credHelpers": {"r": name}}).to_string();
            assert_eq!(
                Home::with(&config).find("r").await,
                Err(HostError::Name),
                "{name:?}"
            );
        }
        for text in ["", "[hunter2", r#"{"auths":{"r":"hunter2"}}"#] {
            let failed = Home::with(text).find("r").await.unwrap_err();
            assert_eq!(failed, HostError::Malformed, "{text}");
        }
    }
}
