//! As much of a DNS message as is needed to answer for our own names and to hand everything else on unread: the header,
//! the one question, and whether the asker speaks EDNS (RFC 1035, 6891). Owns bytes, and neither sockets nor names. Total:
//! any packet is a [`Query`], a refusal to send back, or not worth an answer. Called by the server and its upstream.

use std::net::IpAddr;

/// Type A.
pub const A: u16 = 1;
/// Type AAAA.
pub const AAAA: u16 = 28;
const OPT: u16 = 41;
const ANY: u16 = 255;
const IN: u16 = 1;

/// Done.
pub const NOERROR: u8 = 0;
/// The question cannot be read.
pub const FORMERR: u8 = 1;
/// It could not be found out.
pub const SERVFAIL: u8 = 2;
const NOTIMP: u8 = 4;
/// It will not be found out.
pub const REFUSED: u8 = 5;
/// An EDNS of another version; its upper bits stand in the EDNS record.
const BADVERS: u8 = 16;

const HEADER: usize = 12;
/// What fits into a datagram for an asker that says nothing about it.
const PLAIN: usize = 512;
/// What passes any link without fragments; also what we take ourselves.
const UNFRAGMENTED: u16 = 1232;
/// What a name may measure.
const LONGEST_NAME: usize = 255;
/// The bit of the third byte for what does not fit.
const TRUNCATED: u8 = 0x02;
/// The first two bits of a pointer to a name earlier in the message.
const POINTER: u8 = 0xC0;

/// How an answer travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// In one datagram.
    Udp,
    /// Behind its length.
    Tcp,
}

/// A question that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// What the asker knows it by.
    pub id: u16,
    /// Third and fourth byte of the header.
    flags: [u8; 2],
    /// The question as it was put: name, type, class.
    pub question: Vec<u8>,
    /// The name in lower case with dots between and none at the end; empty if it is no host's name.
    pub name: String,
    /// The type asked for.
    kind: u16,
    /// The class asked for.
    class: u16,
    /// The size of datagrams that the asker takes, if it speaks EDNS.
    edns: Option<u16>,
}

/// What is sent back for a packet that is no query; none for one that is to be ignored.
pub type Refusal = Option<Vec<u8>>;

/// Reads a packet.
pub fn read(packet: &[u8]) -> Result<Query, Refusal> {
    let Some(&[i, d, high, low, q, quantity, ..]) = packet.first_chunk::<HEADER>() else {
        return Err(None);
    };
    // Whoever answers answers begins a conversation without an end.
    if high & 0x80 != 0 {
        return Err(None);
    }
    let mut query = Query {
        id: u16::from_be_bytes([i, d]),
        flags: [high, low],
        question: Vec::new(),
        name: String::new(),
        kind: 0,
        class: 0,
        edns: None,
    };
    if high & 0x78 != 0 {
        return Err(Some(query.refuse(NOTIMP)));
    }
    let mut rest = &packet[HEADER..];
    let one = [q, quantity] == [0, 1];
    let Some(name) = name(&mut rest).filter(|_| one) else {
        return Err(Some(query.refuse(FORMERR)));
    };
    let Some(&[k, ind, c, lass]) = rest.first_chunk() else {
        return Err(Some(query.refuse(FORMERR)));
    };
    rest = &rest[4..];
    query.name = name;
    query.kind = u16::from_be_bytes([k, ind]);
    query.class = u16::from_be_bytes([c, lass]);
    query.question = packet[HEADER..packet.len() - rest.len()].to_vec();
    let records = packet[6..HEADER]
        .chunks(2)
        .map(|count| u32::from(count[0]) << 8 | u32::from(count[1]))
        .sum();
    let Some(edns) = edns(rest, records) else {
        return Err(Some(query.refuse(FORMERR)));
    };
    query.edns = edns.map(|(size, _)| size);
    if edns.is_some_and(|(_, version)| version != 0) {
        return Err(Some(query.refuse(BADVERS)));
    }
    Ok(query)
}

impl Query {
    /// How many bytes the asker takes.
    pub fn limit(&self, transport: Transport) -> usize {
        match transport {
            Transport::Tcp => usize::from(u16::MAX),
            Transport::Udp => self.edns.map_or(PLAIN, |size| PLAIN.max(size.into())),
        }
    }

    /// Which of these addresses it asks for.
    pub fn asks_for(&self, address: IpAddr) -> bool {
        let kind = if address.is_ipv4() { A } else { AAAA };
        matches!(self.class, IN | ANY) && (self.kind == kind || self.kind == ANY)
    }

    /// The answer of somebody who knows: these addresses, for no longer than now. As many as fit, and a mark if these are
    /// not all.
    pub fn answer(&self, addresses: &[IpAddr], transport: Transport) -> Vec<u8> {
        let most = match transport {
            Transport::Udp => self.limit(transport).min(UNFRAGMENTED.into()),
            Transport::Tcp => self.limit(transport),
        };
        let mut message = self.head(NOERROR, true);
        let room = most - if self.edns.is_some() { 11 } else { 0 };
        let mut count = 0_u16;
        for address in addresses.iter().filter(|address| self.asks_for(**address)) {
            let (kind, data) = match address {
                IpAddr::V4(v4) => (A, &v4.octets()[..]),
                IpAddr::V6(v6) => (AAAA, &v6.octets()[..]),
            };
            if message.len() + 12 + data.len() > room {
                message[2] |= TRUNCATED;
                break;
            }
            message.extend([POINTER, HEADER as u8]);
            message.extend(kind.to_be_bytes());
            message.extend(IN.to_be_bytes());
            message.extend([0; 5]);
            message.push(data.len() as u8);
            message.extend(data);
            count += 1;
        }
        message[6..8].copy_from_slice(&count.to_be_bytes());
        self.close(message, NOERROR)
    }

    /// An answer that says only why there is none.
    pub fn refuse(&self, code: u8) -> Vec<u8> {
        let message = self.head(code, false);
        self.close(message, code)
    }

    /// An answer that says that it does not fit and has to be asked for in another way.
    pub fn truncated(&self) -> Vec<u8> {
        let mut message = self.head(NOERROR, false);
        message[2] |= TRUNCATED;
        self.close(message, NOERROR)
    }

    fn head(&self, code: u8, authoritative: bool) -> Vec<u8> {
        let [high, low] = self.flags;
        let mut message = Vec::with_capacity(PLAIN);
        message.extend(self.id.to_be_bytes());
        // Opcode, recursion desired and checking disabled come back as they were; recursion is available.
        message.push(0x80 | high & 0x79 | if authoritative { 0x04 } else { 0 });
        message.push(0x80 | low & 0x10 | code & 0x0F);
        message.extend([0, u8::from(!self.question.is_empty()), 0, 0, 0, 0, 0, 0]);
        message.extend(&self.question);
        message
    }

    fn close(&self, mut message: Vec<u8>, code: u8) -> Vec<u8> {
        if self.edns.is_some() {
            message[11] = 1;
            message.push(0);
            message.extend(OPT.to_be_bytes());
            message.extend(UNFRAGMENTED.to_be_bytes());
            message.extend([code >> 4, 0, 0, 0, 0, 0]);
        }
        message
    }
}

/// Whether a packet is the answer to a question that was asked under this id. A refusal may leave the question out.
pub fn answers(packet: &[u8], id: u16, question: &[u8]) -> bool {
    let Some(&[i, d, high, low, q, quantity, ..]) = packet.first_chunk::<HEADER>() else {
        return false;
    };
    let repeated = packet[HEADER..]
        .get(..question.len())
        .is_some_and(|said| said.eq_ignore_ascii_case(question));
    let bare = [q, quantity] == [0, 0] && low & 0x0F != NOERROR;
    high & 0x80 != 0 && u16::from_be_bytes([i, d]) == id && (bare || [q, quantity] == [0, 1] && repeated)
}

/// Puts another id into a packet.
pub fn with_id(packet: &[u8], id: u16) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if let Some(place) = packet.first_chunk_mut::<2>() {
        *place = id.to_be_bytes();
    }
    packet
}

/// Takes a name without pointers off the front. A label that is no host's makes it nobody's, which is an empty name.
fn name(rest: &mut &[u8]) -> Option<String> {
    let mut name = String::new();
    let (mut length, mut plain) = (1, true);
    loop {
        let (&count, after) = rest.split_first()?;
        if count == 0 {
            *rest = after;
            return Some(if plain { name } else { String::new() });
        }
        length += usize::from(count) + 1;
        if count & POINTER != 0 || length > LONGEST_NAME {
            return None;
        }
        let (label, after) = after.split_at_checked(count.into())?;
        *rest = after;
        if !name.is_empty() {
            name.push('.');
        }
        for byte in label {
            plain &= byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            name.push(char::from(byte.to_ascii_lowercase()));
        }
    }
}

/// Size and version of the EDNS record among so many records, if there is one; none if they cannot be read.
fn edns(mut rest: &[u8], records: u32) -> Option<Option<(u16, u8)>> {
    let mut found = None;
    for _ in 0..records {
        skip_name(&mut rest)?;
        let &[k, ind, s, ize, _, version, _, _, l, ength] = rest.first_chunk()?;
        rest = rest[10..].get(u16::from_be_bytes([l, ength]).into()..)?;
        if u16::from_be_bytes([k, ind]) == OPT {
            found = Some((u16::from_be_bytes([s, ize]), version));
        }
    }
    Some(found)
}

fn skip_name(rest: &mut &[u8]) -> Option<()> {
    loop {
        let (&count, after) = rest.split_first()?;
        if count & POINTER == POINTER {
            *rest = after.get(1..)?;
            return Some(());
        }
        if count & POINTER != 0 {
            return None;
        }
        *rest = after.get(count.into()..)?;
        if count == 0 {
            return Some(());
        }
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
