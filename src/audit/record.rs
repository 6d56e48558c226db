//! What a line of the audit file says, and its bytes: JSON whose last member is the MAC of all bytes before it, so that
//! whoever verifies needs no canonical form. The head, which stands beside the file, has the same form. Holds names and
//! keyed fingerprints, never a value. Written by `controllers`, read by [`super::check`].

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::check::Wrong;
use crate::seal::{ChainKey, ChainMac};

/// What stands between the bytes of a record and its MAC, and after that.
const BEFORE_MAC: &[u8] = b",\"mac\":\"";
const AFTER_MAC: &[u8] = b"\"}";
const MAC_DIGITS: usize = 64;

/// A place in a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Names the chain: 16 random hex digits.
    pub chain: String,
    /// The number of the record there, from 1.
    pub seq: u64,
    /// Its MAC.
    pub mac: ChainMac,
}

/// One value that was handed over, or was to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// Namespace of the deployment.
    pub namespace: String,
    /// Its name.
    pub deployment: String,
    /// The container that got it: an instance, or the holder of a volume. The image, for a credential.
    pub container: String,
    /// The volume of the engine, for a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
    /// Below the volume's root, for a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Kind of the secret.
    pub kind: String,
    /// Its name.
    pub secret: String,
    /// Its key.
    pub key: String,
    /// The key of the ring that it is sealed to; absent for core Secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// Keyed fingerprint of the value.
    pub fingerprint: String,
    /// How it is handed over, in the words of the status.
    pub form: String,
    /// `delivered` or `failed`.
    pub outcome: String,
}

/// What one line says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Record {
    /// A chain begins.
    Begun {
        /// Its name.
        chain: String,
        /// Id of the root of fingerprints whose key chains it.
        root: String,
        /// Why the one before it could not be gone on with; absent for the first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<Wrong>,
        /// The last that was known of the one before it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Link>,
    },
    /// A new file goes on with the chain of the one before it.
    Continued {
        /// The chain.
        chain: String,
        /// Id of the root of fingerprints whose key chains it.
        root: String,
    },
    /// The line before this one was not finished: the program was killed while it wrote.
    Torn {
        /// How many bytes of it there are.
        bytes: u64,
    },
    /// Records that could not be written.
    Lost {
        /// How many.
        records: u64,
    },
    /// A value was handed over, or was to be.
    Delivery(Delivery),
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its number in its chain, from 1.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What it says.
    #[serde(flatten)]
    pub record: Record,
    /// The MAC of the record before it.
    pub prev: ChainMac,
}

/// What stands beside the file: how far it had come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// The last record.
    pub last: Link,
    /// Id of the root.
    pub root: String,
    /// When this was written.
    pub at: Timestamp,
    /// Whether nothing was written after it: the program ended in order.
    pub closed: bool,
}

/// Why bytes are none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// They have no MAC, or one that is not theirs.
    Mac,
    /// The MAC is right, and this build does not know what they say.
    Unknown,
}

/// The text with its MAC, without the end of the line, and the MAC.
fn seal(key: &ChainKey, value: &impl Serialize) -> Option<(String, ChainMac)> {
    let mut text = serde_json::to_string(value).ok()?;
    text.pop();
    let mac = key.mac(text.as_bytes());
    text.push_str(",\"mac\":\"");
    text.push_str(&mac.to_string());
    text.push_str("\"}");
    Some((text, mac))
}

fn open<T: DeserializeOwned>(key: &ChainKey, text: &[u8]) -> Result<(T, ChainMac), Unread> {
    let parts = || {
        let text = text.strip_suffix(AFTER_MAC)?;
        let (text, digits) = text.split_at_checked(text.len().checked_sub(MAC_DIGITS)?)?;
        let body = text.strip_suffix(BEFORE_MAC)?;
        Some((body, std::str::from_utf8(digits).ok()?.parse::<ChainMac>().ok()?))
    };
    let (body, mac) = parts().ok_or(Unread::Mac)?;
    if key.mac(body) != mac {
        return Err(Unread::Mac);
    }
    let value = serde_json::from_slice(text).map_err(|_| Unread::Unknown)?;
    Ok((value, mac))
}

impl Line {
    /// The bytes, with the end of the line, and the MAC; `None` for what JSON cannot say, which no record is.
    #[must_use]
    pub fn write(&self, key: &ChainKey) -> Option<(String, ChainMac)> {
        let (mut text, mac) = seal(key, self)?;
        text.push('\n');
        Some((text, mac))
    }

    /// Reads a line, without its end.
    ///
    /// # Errors
    /// [`Unread`].
    pub fn read(key: &ChainKey, text: &[u8]) -> Result<(Self, ChainMac), Unread> {
        open(key, text)
    }

    /// The root that a first record names, whether or not it is true.
    #[must_use]
    pub fn claimed_root(text: &[u8]) -> Option<String> {
        match serde_json::from_slice::<Self>(text).ok()?.record {
            Record::Begun { root, .. } | Record::Continued { root, .. } => Some(root),
            Record::Torn { .. } | Record::Lost { .. } | Record::Delivery(_) => None,
        }
    }
}

impl Head {
    /// The bytes.
    #[must_use]
    pub fn write(&self, key: &ChainKey) -> Option<String> {
        let (mut text, _) = seal(key, self)?;
        text.push('\n');
        Some(text)
    }

    /// Reads a head.
    ///
    /// # Errors
    /// What is wrong with it: it was edited, or is under another root than `root`.
    pub fn read(key: &ChainKey, root: &str, text: &[u8]) -> Result<Self, Wrong> {
        match open::<Self>(key, text.trim_ascii_end()) {
            Ok((head, _)) => Ok(head),
            Err(Unread::Mac | Unread::Unknown) => {
                let claimed = serde_json::from_slice::<Self>(text);
                let other = claimed.is_ok_and(|head| head.root != root);
                Err(if other { Wrong::OtherRoot } else { Wrong::BadHead })
            }
        }
    }
}
