//! The formats of texts that Kubernetes checks in custom resources, in the reading of
//! `k8s.io/kube-openapi/pkg/validation/strfmt`. An unknown format allows everything. Used by `values`.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::LazyLock,
};

use regex::Regex;

use super::rules::compile;

/// Whether texts of the format `name` are checked.
#[must_use]
pub fn is_known(name: &str) -> bool {
    matches(name, "").is_some()
}

/// Whether `text` has the format `name`; `None` when the format is unknown. Dashes in names do not count.
#[must_use]
pub fn matches(name: &str, text: &str) -> Option<bool> {
    Some(match name.replace('-', "").as_str() {
        "bsonobjectid" => text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "uri" => is_request_uri(text),
        "email" => is_email(text),
        "hostname" => is_hostname(text),
        "ipv4" => is_ipv4(text),
        "ipv6" => text.contains(':') && is_ip(text),
        "cidr" => is_cidr(text),
        "mac" => is_mac(text),
        "uuid" => is_uuid(text, &[]),
        "uuid3" => is_uuid(text, &[(12, "3")]),
        "uuid4" => is_uuid(text, &[(12, "4"), (16, "89ab")]),
        "uuid5" => is_uuid(text, &[(12, "5"), (16, "89ab")]),
        "isbn" => is_isbn10(text) || is_isbn13(text),
        "isbn10" => is_isbn10(text),
        "isbn13" => is_isbn13(text),
        "creditcard" => is_credit_card(text),
        "ssn" => SSN.as_ref().is_some_and(|regex| regex.is_match(text)),
        "hexcolor" => is_hex_color(text),
        "rgbcolor" => RGB.as_ref().is_some_and(|regex| regex.is_match(text)),
        "byte" => is_base64(text),
        "password" => true,
        "date" => is_date(text),
        "duration" => is_duration(text),
        "datetime" => is_date_time(text),
        "k8sshortname" => text.len() <= 63 && is_label(text),
        "k8slongname" => text.len() <= 253 && text.split('.').all(is_label),
        _ => return None,
    })
}

static SSN: LazyLock<Option<Regex>> = LazyLock::new(|| compile(r"^\d{3}[- ]?\d{2}[- ]?\d{4}$").ok());
static RGB: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let part = r"\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*";
    compile(&format!(r"^rgb\({part},{part},{part}\)$")).ok()
});
static CARD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compile(
        r"^(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35\d{3})\d{11})$",
    )
    .ok()
});
/// A short name with at most one dash, the second character, or dotted labels with a last one of two letters or more.
fn is_hostname(text: &str) -> bool {
    // A class as a whole is small; counted, it would compile into megabytes.
    static SIGNS: LazyLock<Option<Regex>> = LazyLock::new(|| compile(r"^[a-zA-Z0-9\p{S}\p{L}]+$").ok());
    static LETTERS: LazyLock<Option<Regex>> = LazyLock::new(|| compile(r"^[a-zA-Z\p{L}]+$").ok());
    let signs = |text: &str| SIGNS.as_ref().is_some_and(|regex| regex.is_match(text));
    let letters = |text: &str| LETTERS.as_ref().is_some_and(|regex| regex.is_match(text));
    if text.len() > 255 || text.split('.').any(|part| part.len() > 63) {
        return false;
    }
    let Some((labels, last)) = text.rsplit_once('.') else {
        let mut chars = text.chars();
        let first = chars.next().map(String::from).unwrap_or_default();
        let rest = chars.as_str().strip_prefix('-').unwrap_or(chars.as_str());
        return signs(&first) && (rest.is_empty() || signs(rest));
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && signs(&label.replace('-', "a"))
    };
    last.chars().count() >= 2 && letters(last) && labels.split('.').all(label)
}

/// An absolute URI or an absolute path.
fn is_request_uri(text: &str) -> bool {
    if text.is_empty() || text.chars().any(|c| c.is_ascii_control()) {
        return false;
    }
    if text.starts_with('/') {
        return true;
    }
    let Some((scheme, _)) = text.split_once(':') else {
        return false;
    };
    let mut letters = scheme.chars();
    letters.next().is_some_and(|c| c.is_ascii_alphabetic())
        && letters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// An address, with or without a name before it.
fn is_email(text: &str) -> bool {
    let text = text.trim();
    let address = match (text.find('<'), text.strip_suffix('>')) {
        (Some(at), Some(_)) => &text[at + 1..text.len() - 1],
        (None, None) => text,
        _ => return false,
    };
    let Some((local, domain)) = address.rsplit_once('@') else {
        return false;
    };
    let atom = |text: &str| {
        let allowed = |c: char| c.is_alphanumeric() || !c.is_ascii() || "!#$%&'*+-/=?^_`{|}~".contains(c);
        !text.is_empty()
            && text
                .split('.')
                .all(|part| !part.is_empty() && part.chars().all(allowed))
    };
    let quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    (atom(local) || quoted) && (atom(domain) || (domain.starts_with('[') && domain.ends_with(']')))
}

/// Four numbers; zeros may lead. `::ffff:1.2.3.4` is one, too.
fn is_ipv4(text: &str) -> bool {
    text.contains('.') && is_ip(text)
}

fn is_ip(text: &str) -> bool {
    sloppy_ip(text).is_some()
}

fn sloppy_ip(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        return text.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    let part = |part: &str| -> Option<u8> {
        let short = !part.is_empty() && part.len() <= 20 && part.bytes().all(|byte| byte.is_ascii_digit());
        if short {
            part.trim_start_matches('0')
                .parse()
                .ok()
                .or(part.trim_matches('0').is_empty().then_some(0))
        } else {
            None
        }
    };
    let parts: Vec<u8> = text.split('.').map(part).collect::<Option<_>>()?;
    let parts: [u8; 4] = parts.try_into().ok()?;
    Some(IpAddr::from(parts))
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else {
        return false;
    };
    let digits = !length.is_empty() && length.len() <= 3 && length.bytes().all(|byte| byte.is_ascii_digit());
    let bits = match sloppy_ip(address) {
        Some(IpAddr::V4(_)) => 32,
        Some(IpAddr::V6(_)) => 128,
        None => return false,
    };
    digits && length.parse::<u32>().is_ok_and(|length| length <= bits)
}

/// 6, 8 or 20 bytes, in pairs by `:` or `-` or in fours by `.`.
fn is_mac(text: &str) -> bool {
    let grouped = |separator: char, width: usize| {
        let groups: Vec<&str> = text.split(separator).collect();
        let fits = groups
            .iter()
            .all(|group| group.len() == width && group.bytes().all(|byte| byte.is_ascii_hexdigit()));
        fits && matches!(groups.len() * width, 12 | 16 | 40)
    };
    grouped(':', 2) || grouped('-', 2) || grouped('.', 4)
}

/// Groups of 8, 4, 4, 4 and 12 digits, each dash optional; `fixed` digits are bound.
fn is_uuid(text: &str, fixed: &[(usize, &str)]) -> bool {
    let mut digits = String::with_capacity(32);
    for c in text.chars() {
        if c == '-' && matches!(digits.len(), 8 | 12 | 16 | 20) && !text.contains("--") {
            continue;
        }
        if !c.is_ascii_hexdigit() {
            return false;
        }
        digits.push(c.to_ascii_lowercase());
    }
    digits.len() == 32
        && fixed
            .iter()
            .all(|(at, allowed)| allowed.contains(&digits[*at..=*at]))
}

fn bare(text: &str) -> String {
    text.chars()
        .filter(|c| !matches!(c, '-' | ' ' | '\t' | '\n'))
        .collect()
}

fn is_isbn10(text: &str) -> bool {
    let bare = bare(text);
    let sum: Option<u32> = (bare.len() == 10).then_some(()).and_then(|()| {
        (bare.chars().enumerate())
            .map(|(index, c)| {
                let digit = if index == 9 && c == 'X' {
                    10
                } else {
                    c.to_digit(10)?
                };
                Some(digit * u32::try_from(index + 1).ok()?)
            })
            .sum()
    });
    sum.is_some_and(|sum| sum.is_multiple_of(11))
}

fn is_isbn13(text: &str) -> bool {
    let bare = bare(text);
    let sum: Option<u32> = (bare.len() == 13).then_some(()).and_then(|()| {
        (bare.chars().enumerate())
            .map(|(index, c)| Some(c.to_digit(10)? * if index % 2 == 0 { 1 } else { 3 }))
            .sum()
    });
    sum.is_some_and(|sum| sum.is_multiple_of(10))
}

fn is_credit_card(text: &str) -> bool {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let sum: u32 = (digits.bytes().rev().enumerate())
        .map(|(index, byte)| {
            let digit = u32::from(byte - b'0') * if index % 2 == 1 { 2 } else { 1 };
            if digit > 9 { digit - 9 } else { digit }
        })
        .sum();
    CARD.as_ref().is_some_and(|regex| regex.is_match(&digits)) && sum.is_multiple_of(10)
}

fn is_hex_color(text: &str) -> bool {
    let digits = text.strip_prefix('#').unwrap_or(text);
    matches!(digits.len(), 3 | 6) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let padding = text.len() - body.len();
    !text.is_empty()
        && text.len().is_multiple_of(4)
        && padding <= 2
        && body
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

pub(super) fn is_date(text: &str) -> bool {
    let shaped =
        text.len() == 10 && text.is_ascii() && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-';
    shaped && text.parse::<jiff::civil::Date>().is_ok()
}

fn is_date_time(text: &str) -> bool {
    static TIME: LazyLock<Option<Regex>> = LazyLock::new(|| {
        compile(r"^([0-1][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))$").ok()
    });
    let text = text.to_lowercase();
    let mut parts = text.split('t');
    let date = parts.next().unwrap_or_default();
    let time = parts.next();
    is_date(date) && time.is_some_and(|time| TIME.as_ref().is_some_and(|regex| regex.is_match(time)))
}

/// A Go duration (`1h30m`), or numbers with units in words anywhere in the text (`2 days`).
fn is_duration(text: &str) -> bool {
    static WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| compile(r"(\d+)\s*([A-Za-zµ]+)").ok());
    const UNITS: [&[&str]; 8] = [
        &["ns", "nano"],
        &["us", "µs", "micro"],
        &["ms", "milli"],
        &["s", "sec"],
        &["m", "min"],
        &["h", "hr", "hour"],
        &["d", "day"],
        &["w", "wk", "week"],
    ];
    if go_duration(text).is_some() {
        return true;
    }
    let Some(words) = WORDS.as_ref() else { return false };
    let mut known = false;
    for found in words.captures_iter(text) {
        if found[1].parse::<i64>().is_err() {
            return false;
        }
        let unit = found[2].to_lowercase();
        known |= UNITS.iter().any(|variants| {
            variants.iter().any(|variant| unit == *variant)
                || variants.last().is_some_and(|last| unit.starts_with(last))
        });
    }
    known
}

/// Nanoseconds of a duration as Go writes it.
pub(super) fn go_duration(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0.0_f64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let amount: f64 = if rest[..end].bytes().any(|byte| byte.is_ascii_digit()) {
            rest[..end].parse().ok()?
        } else {
            return None;
        };
        rest = &rest[end..];
        let end = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        total += amount
            * match &rest[..end] {
                "ns" => 1.0,
                "us" | "µs" | "μs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 6e10,
                "h" => 3.6e12,
                _ => return None,
            };
        rest = &rest[end..];
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounded one line above")]
    (total < 9.2e18).then_some((sign * total) as i64)
}

/// A label of a DNS name in lower case.
fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && !text.starts_with('-') && !text.ends_with('-') && text.bytes().all(inner)
}
