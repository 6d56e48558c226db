//! `continue` tokens: where a list goes on and at which revision. Opaque to clients; the form is that of a Kubernetes API
//! server. Any text is either a token or a 400. Pure. Called by `list`.

use std::sync::Arc;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::{Deserialize, Serialize};

use super::super::status::{Result, Status};

const FORM: &str = "meta.k8s.io/v1";
/// Instead of a revision: what there is when the rest is asked for.
const NEWEST: i64 = -1;

/// Where a list goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// The revision of the list; `None` goes on with what there is now.
    pub revision: Option<u64>,
    /// The last namespace and name that were listed.
    pub after: (Arc<str>, Arc<str>),
}

#[derive(Serialize, Deserialize)]
struct Wire {
    v: String,
    rv: i64,
    start: String,
}

impl Token {
    /// As text.
    pub fn encode(&self) -> String {
        let (namespace, name) = &self.after;
        let start = if namespace.is_empty() {
            format!("/{name}\0")
        } else {
            format!("/{namespace}/{name}\0")
        };
        let wire = Wire {
            v: FORM.to_owned(),
            rv: self.revision.map_or(NEWEST, u64::cast_signed),
            start,
        };
        Base64UrlUnpadded::encode_string(serde_json::to_string(&wire).unwrap_or_default().as_bytes())
    }

    /// From text.
    ///
    /// # Errors
    /// 400.
    pub fn decode(text: &str) -> Result<Self> {
        let invalid = |why: &str| {
            Status::bad_request(format!(
                "invalid continue token: continue key is not valid: {why}"
            ))
        };
        let json = Base64UrlUnpadded::decode_vec(text).map_err(|_| invalid("illegal base64 data"))?;
        let wire: Wire = serde_json::from_slice(&json).map_err(|_| invalid("it is no JSON of a token"))?;
        if wire.v != FORM {
            let why = format!("server does not recognize this encoded version {}", wire.v);
            return Err(invalid(&why));
        }
        if wire.rv == 0 {
            return Err(invalid(&format!(
                "incorrect encoded start resourceVersion (version {FORM})"
            )));
        }
        if wire.start.is_empty() {
            return Err(invalid(&format!("encoded start key empty (version {FORM})")));
        }
        if wire.start.split('/').any(|part| matches!(part, "." | "..")) {
            return Err(invalid(&wire.start));
        }
        let start = wire.start.trim_start_matches('/').trim_end_matches('\0');
        let (namespace, name) = start.split_once('/').unwrap_or(("", start));
        Ok(Self {
            revision: u64::try_from(wire.rv).ok(),
            after: (namespace.into(), name.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written() {
        for (revision, namespace, name) in [(Some(7), "ns", "n"), (None, "", "cluster.wide")] {
            let token = Token {
                revision,
                after: (namespace.into(), name.into()),
            };
            assert_eq!(Token::decode(&token.encode()).unwrap(), token);
        }
    }

    #[test]
    fn everything_else_is_400() {
        let texts = [
            "foo".to_owned(),
            "Zm9v".to_owned(),
            "é".to_owned(),
            Base64UrlUnpadded::encode_string(br#"{"v":"meta.k8s.io/v2","rv":1,"start":"x"}"#),
            Base64UrlUnpadded::encode_string(br#"{"v":"meta.k8s.io/v1","rv":0,"start":"x"}"#),
            Base64UrlUnpadded::encode_string(br#"{"v":"meta.k8s.io/v1","rv":1,"start":""}"#),
            Base64UrlUnpadded::encode_string(br#"{"v":"meta.k8s.io/v1","rv":1,"start":"../x"}"#),
            Base64UrlUnpadded::encode_string(br#"{"rv":1}"#),
        ];
        for text in texts {
            assert_eq!(Token::decode(&text).unwrap_err().code, 400, "{text}");
        }
    }
}
