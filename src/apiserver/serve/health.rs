//! `/healthz`, `/livez`, `/readyz`: named checks, their text with `?verbose` and `?exclude=`, and each under its own path,
//! as `k8s.io/apiserver/pkg/server/healthz` writes them. Owns the texts; what is checked is given. Asked without
//! credentials too, so that why a check failed is told only under its own path. Called by `handler`.

use std::sync::Arc;

use http::{HeaderValue, header};

use crate::apiserver::response::{self, Response};

const TEXT: &str = "text/plain; charset=utf-8";

/// Answers whether it is well, and if not, why, in one sentence.
pub type Verdict = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// One check.
#[derive(Clone)]
pub struct Check {
    /// `ping`, `store`, `poststarthook/bootstrap`.
    pub name: &'static str,
    /// It counts for `/livez` and `/healthz` too: when it fails, only a restart helps.
    pub live: bool,
    /// Answers.
    pub verdict: Verdict,
}

impl Check {
    /// Counts for `/readyz` only.
    #[must_use]
    pub fn ready(
        name: &'static str,
        verdict: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            live: false,
            verdict: Arc::new(verdict),
        }
    }

    /// Counts for all three.
    #[must_use]
    pub fn live(
        name: &'static str,
        verdict: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            live: true,
            verdict: Arc::new(verdict),
        }
    }
}

/// Answers for a path of one of the three; `None` when it is none.
#[must_use]
pub fn respond(checks: &[Check], path: &str, query: &str) -> Option<Response> {
    let (endpoint, one) = match path.strip_prefix('/')?.split_once('/') {
        Some((endpoint, one)) => (endpoint, Some(one)),
        None => (&path[1..], None),
    };
    let counts = |check: &&Check| match endpoint {
        "readyz" => true,
        _ => check.live,
    };
    if !matches!(endpoint, "healthz" | "livez" | "readyz") {
        return None;
    }
    let checks: Vec<&Check> = checks.iter().filter(counts).collect();
    Some(match one {
        None => all(endpoint, &checks, query),
        Some(name) => match checks.iter().find(|check| check.name == name) {
            Some(check) => single(check),
            None => plain(404, "404 page not found\n"),
        },
    })
}

fn plain(code: u16, text: impl Into<bytes::Bytes>) -> Response {
    let mut response = response::bytes(code, TEXT, text);
    response.headers_mut().insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

fn single(check: &Check) -> Response {
    match (check.verdict)() {
        Ok(()) => plain(200, "ok"),
        Err(why) => plain(500, format!("internal server error: {why}\n")),
    }
}

fn all(endpoint: &str, checks: &[&Check], query: &str) -> Response {
    let (mut verbose, mut excluded) = (false, Vec::new());
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "verbose" => verbose = true,
            "exclude" if !value.is_empty() => excluded.push(value.into_owned()),
            _ => {}
        }
    }
    let (mut text, mut failed) = (String::new(), Vec::new());
    for check in checks {
        let name = check.name;
        let line = if excluded.iter().any(|given| given == name) {
            excluded.retain(|given| given != name);
            format!("[+]{name} excluded: ok\n")
        } else if let Err(why) = (check.verdict)() {
            failed.push(format!("{name}: {why}"));
            format!("[-]{name} failed: reason withheld\n")
        } else {
            format!("[+]{name} ok\n")
        };
        text.push_str(&line);
    }
    if !excluded.is_empty() {
        let quoted: Vec<String> = excluded.iter().map(|name| format!("{name:?}")).collect();
        text.push_str("warn: some health checks cannot be excluded: no matches for ");
        text.push_str(&quoted.join(", "));
        text.push('\n');
    }
    if !failed.is_empty() {
        tracing::warn!(endpoint, failed = failed.join("; "), "a health check failed");
        return plain(500, format!("{text}{endpoint} check failed\n"));
    }
    if verbose {
        return plain(200, format!("{text}{endpoint} check passed\n"));
    }
    plain(200, "ok")
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn ask(path: &str, query: &str, store: Result<(), &'static str>) -> (u16, String) {
        let checks = [
            Check::live("ping", || Ok(())),
            Check::ready("store", move || store.map_err(str::to_owned)),
        ];
        let answer = respond(&checks, path, query).unwrap();
        let code = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (code, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_texts_are_those_of_the_real_server() {
        assert_eq!(ask("/readyz", "", Ok(())).await, (200, "ok".to_owned()));
        let (code, text) = ask("/readyz", "verbose", Ok(())).await;
        assert_eq!(
            (code, text.as_str()),
            (200, "[+]ping ok\n[+]store ok\nreadyz check passed\n")
        );
        let (_, text) = ask("/readyz", "exclude=ping&verbose", Ok(())).await;
        assert_eq!(text, "[+]ping excluded: ok\n[+]store ok\nreadyz check passed\n");
        assert_eq!(ask("/livez/ping", "", Ok(())).await, (200, "ok".to_owned()));
        assert_eq!(ask("/livez/nope", "", Ok(())).await.0, 404);
        assert_eq!(ask("/livez/", "", Ok(())).await.0, 404);
    }

    #[tokio::test]
    async fn a_full_disk_is_alive_and_not_ready_and_says_why_under_its_own_path_only() {
        let full = Err("the disk is full");
        let (code, text) = ask("/readyz", "", full).await;
        assert_eq!(code, 500);
        assert_eq!(
            text,
            "[+]ping ok\n[-]store failed: reason withheld\nreadyz check failed\n"
        );
        assert_eq!(ask("/livez", "", full).await.0, 200);
        assert_eq!(ask("/healthz", "", full).await.0, 200);
        assert_eq!(
            ask("/readyz/store", "", full).await,
            (500, "internal server error: the disk is full\n".to_owned())
        );
    }

    #[test]
    fn other_paths_are_none_of_it() {
        for path in ["/", "", "readyz", "/readyzz", "/api", "/version"] {
            assert!(respond(&[], path, "").is_none(), "{path}");
        }
    }
}
