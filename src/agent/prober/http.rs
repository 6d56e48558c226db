//! The HTTP/1.1 of a probe: one request and the head of its answer. By hand, because a status is all that is wanted: a
//! client library's connection costs several times the processor time and memory of this, a thousand times every few
//! seconds. Pure: bytes in, bytes out. Called by [`super`].

use std::net::SocketAddr;

/// A head that is longer is no answer.
const LONGEST_HEAD: usize = 64 << 10;
/// `HTTP/1.1 200`.
const STATUS_LINE: usize = 12;

/// The request. Bytes of the path that may not stand in one are escaped; headers that may not be sent are an error.
///
/// # Errors
/// Which header, and never its value.
pub fn request(to: SocketAddr, path: &str, headers: &[(String, String)]) -> Result<Vec<u8>, String> {
    let given = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    let mut request = Vec::with_capacity(256);
    request.extend(b"GET ");
    if !path.starts_with('/') {
        request.push(b'/');
    }
    for byte in path.bytes() {
        match byte {
            b'!'..=b'~' => request.push(byte),
            _ => request.extend(format!("%{byte:02X}").bytes()),
        }
    }
    request.extend(b" HTTP/1.1\r\n");
    let agent = concat!("supercargo-probe/", env!("CARGO_PKG_VERSION"));
    for (name, value) in [
        ("Host", to.to_string().as_str()),
        ("User-Agent", agent),
        ("Accept", "*/*"),
    ] {
        if !given(name) {
            request.extend(format!("{name}: {value}\r\n").bytes());
        }
    }
    for (name, value) in headers {
        if !is_token(name) || value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return Err(format!(
                "its header {:?} cannot be sent",
                name.escape_debug().to_string()
            ));
        }
        // Whether the connection stays is ours to say.
        if !name.eq_ignore_ascii_case("connection") {
            request.extend(format!("{name}: {value}\r\n").bytes());
        }
    }
    request.extend(b"Connection: close\r\n\r\n");
    Ok(request)
}

fn is_token(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(token)
}

/// The head of an answer as it comes in.
#[derive(Debug, Default)]
pub struct Head {
    /// The first bytes of it.
    line: Vec<u8>,
    /// How long it is so far.
    length: usize,
    /// Line ends in a row.
    ends: u8,
}

impl Head {
    /// Takes the next bytes; answers with the status once the head has ended. Interim answers (1xx) are passed over.
    ///
    /// # Errors
    /// Why it is no answer. Nothing of it is repeated.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Option<u16>, &'static str> {
        for &byte in bytes {
            self.length += 1;
            if self.length > LONGEST_HEAD {
                return Err("the head of the answer does not end");
            }
            if self.line.len() < STATUS_LINE {
                self.line.push(byte);
                if !begins_well(&self.line) {
                    return Err("the answer is not HTTP/1");
                }
            }
            match byte {
                b'\n' => self.ends += 1,
                b'\r' => {}
                _ => self.ends = 0,
            }
            if self.ends == 2 {
                let status = self.status()?;
                if !(100..200).contains(&status) || status == 101 {
                    return Ok(Some(status));
                }
                *self = Self::default();
            }
        }
        Ok(None)
    }

    fn status(&self) -> Result<u16, &'static str> {
        let digits = self.line.get(STATUS_LINE - 3..).unwrap_or_default();
        let text = std::str::from_utf8(digits).unwrap_or_default();
        text.parse().map_err(|_| "the answer is not HTTP/1")
    }
}

/// Whether this can become a status line.
fn begins_well(line: &[u8]) -> bool {
    line.iter().zip(b"HTTP/1.# ###").all(|(byte, shape)| match shape {
        b'#' => byte.is_ascii_digit(),
        _ => byte == shape,
    })
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
