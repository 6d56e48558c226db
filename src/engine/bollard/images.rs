//! Docker's images. A pull goes past bollard, which would copy the credential into strings of its own: the login header
//! is built in a buffer that is wiped and marked as sensitive, and what a registry answered to it is not repeated.

use ::bollard::query_parameters::{ListImagesOptionsBuilder, RemoveImageOptions};
use base64ct::{Base64Url, Encoding};
use bytes::Bytes;
use futures::{StreamExt, pin_mut};
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Docker, Failure, classify, limit, quoted, streams};
use crate::{
    engine::{Archive, Error, Images, Kind, Op, RegistryCredential, Result},
    state::{
        image::{ImageTag, ImageView},
        plaintext::IDENTITY_TOKEN,
    },
};

/// One line of a pull's progress: a failure after the first byte comes as 200 and a line with an error.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Progress {
    error: Option<String>,
    error_detail: Option<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    message: Option<String>,
}

impl Images for Docker {
    async fn inspect_image(&self, reference: &str) -> Result<ImageView> {
        let found = self
            .ask(Op::InspectImage, reference, self.api.inspect_image(reference))
            .await?;
        let config = found.config.unwrap_or_default();
        Ok(ImageView {
            id: found.id.unwrap_or_default(),
            repo_digests: found.repo_digests.unwrap_or_default(),
            entrypoint: config.entrypoint.unwrap_or_default(),
            cmd: config.cmd.unwrap_or_default(),
            user: config.user.unwrap_or_default(),
        })
    }

    async fn pull_image(&self, reference: &str, credential: Option<&RegistryCredential>) -> Result<()> {
        let op = Op::PullImage;
        let auth = match credential.map(login).transpose() {
            Ok(auth) => auth,
            Err(message) => return Err(Error::new(op, reference, Kind::Invalid, message)),
        };
        let path = format!("/images/create?fromImage={}", quoted(&with_tag(reference)));
        match self.within(op, limit(op), self.pull(&path, auth)).await {
            Ok(()) => Ok(()),
            Err(Failure::Answer { status, text }) if credential.is_some() => {
                Err(reticent(reference, status, &text))
            }
            Err(failure) => Err(self.error(op, reference, failure)),
        }
    }

    async fn load_image(&self, reference: &str, archive: Archive) -> Result<()> {
        let op = Op::LoadImage;
        let (repository, tag) = reference.rsplit_once(':').unwrap_or((reference, "latest"));
        let path = format!(
            "/images/create?fromSrc=-&repo={}&tag={}",
            quoted(repository),
            quoted(tag)
        );
        self.within(op, limit(op), self.load(&path, archive))
            .await
            .map_err(|failure| self.error(op, reference, failure))
    }

    async fn list_images(&self, repository: &str) -> Result<Vec<ImageTag>> {
        let filters = [("reference", vec![repository])].into();
        let options = ListImagesOptionsBuilder::default().filters(&filters).build();
        let found = self
            .ask(Op::ListImages, repository, self.api.list_images(Some(options)))
            .await?;
        let within = |reference: &String| reference.rsplit_once(':').is_some_and(|(r, _)| r == repository);
        let tags = found.into_iter().flat_map(|image| {
            let created = Timestamp::from_second(image.created).unwrap_or_default();
            let references = image.repo_tags.into_iter().filter(within);
            references
                .map(|reference| ImageTag { reference, created })
                .collect::<Vec<_>>()
        });
        Ok(tags.collect())
    }

    async fn remove_image(&self, reference: &str) -> Result<()> {
        let op = Op::RemoveImage;
        let call = self.api.remove_image(reference, None::<RemoveImageOptions>, None);
        self.tell(op, reference, limit(op), call).await
    }
}

impl Docker {
    async fn load(&self, path: &str, archive: Archive) -> std::result::Result<(), Failure> {
        let body = StreamBody::new(archive.map(|piece| piece.map(Frame::data)));
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/x-tar");
        let request = request.body(body).map_err(|e| Failure::Silent(e.to_string()))?;
        let response = self.good(self.wire.send(request).await?).await?;
        self.progress(response).await
    }

    async fn pull(&self, path: &str, auth: Option<HeaderValue>) -> std::result::Result<(), Failure> {
        let response = self.raw(Method::POST, path, Bytes::new(), auth).await?;
        self.progress(response).await
    }

    /// Reads a progress to its end, which is where an error would be.
    async fn progress(&self, response: Response<Incoming>) -> std::result::Result<(), Failure> {
        let lines = streams::lines(response);
        pin_mut!(lines);
        while let Some(line) = lines.next().await {
            let line = line.map_err(|e| Failure::Silent(format!("the answer broke off: {e}")))?;
            let progress: Progress =
                serde_json::from_slice(&line).map_err(|e| Failure::Nonsense(e.to_string()))?;
            if let Some(text) = progress
                .error_detail
                .and_then(|detail| detail.message)
                .or(progress.error)
            {
                return Err(Failure::Answer { status: 500, text });
            }
        }
        Ok(())
    }
}

/// Without a tag or a digest the API would pull every tag of the repository.
fn with_tag(reference: &str) -> String {
    let last = reference.rsplit('/').next().unwrap_or(reference);
    if last.contains([':', '@']) {
        reference.to_owned()
    } else {
        format!("{reference}:latest")
    }
}

#[derive(Serialize)]
struct Login<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    username: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    password: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    identitytoken: &'a str,
    serveraddress: &'a str,
}

/// The login header, in memory that is wiped with it; or why there can be none.
fn login(credential: &RegistryCredential) -> std::result::Result<HeaderValue, String> {
    let password = std::str::from_utf8(credential.password.expose())
        .map_err(|_| "the registry's password is not UTF-8 text".to_owned())?;
    let (username, password, identitytoken) = match credential.username.as_str() {
        IDENTITY_TOKEN => ("", "", password),
        username => (username, password, ""),
    };
    let login = Login {
        username,
        password,
        identitytoken,
        serveraddress: &credential.server,
    };
    // Six bytes hold any escaped byte, so neither buffer grows and leaves a copy behind.
    let given = credential.password.len() + login.username.len() + login.serveraddress.len();
    let longest = 80 + 6 * given;
    let mut json = Zeroizing::new(Vec::with_capacity(longest));
    serde_json::to_writer(&mut *json, &login)
        .map_err(|_| "the registry's login cannot be written".to_owned())?;
    // Padded: 20.10 reads an unpadded one only when its length needs no padding, and else as no login at all.
    let mut encoded = Zeroizing::new(vec![0; Base64Url::encoded_len(&json)]);
    Base64Url::encode(&json, &mut encoded).map_err(|_| "the registry's login is too long".to_owned())?;
    let mut header = HeaderValue::from_maybe_shared(Bytes::from_owner(encoded))
        .map_err(|_| "the registry's login is no header".to_owned())?;
    header.set_sensitive(true);
    Ok(header)
}

/// An error of a pull that carried a credential: its class, and none of the registry's words.
fn reticent(reference: &str, status: u16, text: &str) -> Error {
    let kind = classify::kind(Op::PullImage, status, text, reference);
    let meaning = match kind {
        Kind::RegistryDenied => "the registry refused the credential that was given",
        Kind::ImageNotFound => "the registry has no such image, tag or digest",
        Kind::RegistryUnavailable => "the registry cannot be reached or failed",
        Kind::Invalid => "the reference is not one of an image",
        _ => "the engine failed",
    };
    Error::new(
        Op::PullImage,
        reference,
        kind,
        format!("{meaning} (the engine answered {status})"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::Plaintext;

    #[test]
    fn only_a_reference_without_tag_and_digest_gets_one() {
        assert_eq!(with_tag("h:5/a"), "h:5/a:latest");
        assert_eq!(with_tag("a"), "a:latest");
        assert_eq!(with_tag("h:5/a:1"), "h:5/a:1");
        assert_eq!(with_tag("a@sha256:00"), "a@sha256:00");
    }

    #[test]
    fn a_login_is_what_the_engine_reads_and_does_not_print_itself() {
        let password = "p\"\u{1}\\ü".to_owned();
        let credential = RegistryCredential {
            username: "u".into(),
            password: Plaintext::new(password.clone().into_bytes()),
            server: "h:5".into(),
        };
        let header = login(&credential).unwrap();
        assert_eq!(format!("{header:?}"), "Sensitive");
        let json = Base64Url::decode_vec(header.to_str().unwrap()).unwrap();
        let parsed: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(
            parsed,
            serde_json::json!({"username": "u", "password": password, "serveraddress": "h:5"})
        );
        let token = RegistryCredential {
            username: IDENTITY_TOKEN.into(),
            ..credential
        };
        let json = Base64Url::decode_vec(login(&token).unwrap().to_str().unwrap()).unwrap();
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&json).unwrap(),
            serde_json::json!({"identitytoken": password, "serveraddress": "h:5"})
        );
    }

    #[test]
    fn a_refused_credential_is_a_class_and_not_the_registrys_words() {
        let error = reticent("h/r:t", 500, "unauthorized: bad password hunter2");
        assert_eq!(error.kind, Kind::RegistryDenied);
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
