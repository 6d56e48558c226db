//! Messages byte by byte, against what RFC 1035 and 6891 say; and properties over any bytes.

use proptest::prelude::*;

use super::*;

/// A question as a client puts it.
fn ask(name: &str, kind: u16, edns: Option<u16>) -> Vec<u8> {
    let mut packet = vec![0xBE, 0xEF, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns.is_some())];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        packet.push(label.len() as u8);
        packet.extend(label.bytes());
    }
    packet.push(0);
    packet.extend(kind.to_be_bytes());
    packet.extend([0, 1]);
    if let Some(size) = edns {
        packet.extend([0, 0, 41]);
        packet.extend(size.to_be_bytes());
        packet.extend([0, 0, 0x80, 0, 0, 0]);
    }
    packet
}

fn addresses(count: u16) -> Vec<IpAddr> {
    (0..count)
        .map(|number| IpAddr::from([10, 1, (number >> 8) as u8, number as u8]))
        .collect()
}

fn count(message: &[u8]) -> u16 {
    u16::from_be_bytes([message[6], message[7]])
}

#[test]
fn an_address_is_answered_as_the_rfc_writes_it() {
    let query = read(&ask("Web.Shop", A, None)).unwrap();
    assert_eq!(query.name, "web.shop");
    let answer = query.answer(&["10.1.0.2".parse().unwrap()], Transport::Udp);
    let expected: &[u8] = b"\xBE\xEF\x85\x80\0\x01\0\x01\0\0\0\0\x03Web\x04Shop\0\0\x01\0\x01\
        \xC0\x0C\0\x01\0\x01\0\0\0\0\0\x04\x0A\x01\0\x02";
    assert_eq!(answer, expected);
}

#[test]
fn a_name_that_has_only_the_other_kind_of_address_exists() {
    let both: [IpAddr; 2] = ["10.1.0.2".parse().unwrap(), "fd00::2".parse().unwrap()];
    for (kind, addresses, answers) in [
        (AAAA, &both[..1], 0),
        (A, &both[..1], 1),
        (AAAA, &both[..], 1),
        (A, &both[1..], 0),
        (ANY, &both[..], 2),
        (16, &both[..], 0),
        (A, &[][..], 0),
    ] {
        let answer = read(&ask("web", kind, None))
            .unwrap()
            .answer(addresses, Transport::Udp);
        assert_eq!(
            (answer[3] & 0x0F, count(&answer)),
            (NOERROR, answers),
            "{kind} of {addresses:?}"
        );
        assert_eq!(answer[2] & 0x04, 0x04, "with authority");
    }
}

#[test]
fn what_does_not_fit_is_marked_and_fits_over_tcp() {
    let all = addresses(100);
    for (edns, most) in [
        (None, 512),
        (Some(100), 512),
        (Some(1_000), 1_000),
        (Some(9_000), 1_232),
    ] {
        let query = read(&ask("web", A, edns)).unwrap();
        let answer = query.answer(&all, Transport::Udp);
        assert!(
            answer.len() <= most && answer.len() + 16 > most,
            "{} of {most}",
            answer.len()
        );
        assert_eq!(answer[2] & TRUNCATED, TRUNCATED);
        let whole = query.answer(&all, Transport::Tcp);
        assert_eq!((count(&whole), whole[2] & TRUNCATED), (100, 0));
    }
    let few = read(&ask("web", A, None))
        .unwrap()
        .answer(&all[..20], Transport::Udp);
    assert_eq!((count(&few), few[2] & TRUNCATED), (20, 0));
    let many = read(&ask("web", A, None))
        .unwrap()
        .answer(&addresses(5_000), Transport::Tcp);
    assert!(many.len() <= 65_535 && many[2] & TRUNCATED != 0);
}

#[test]
fn whoever_speaks_edns_is_answered_in_it() {
    let answer = read(&ask("web", A, Some(4_096)))
        .unwrap()
        .answer(&addresses(1), Transport::Udp);
    assert!(answer.ends_with(b"\0\0\x29\x04\xD0\0\0\0\0\0\0"));
    assert_eq!(answer[11], 1);
    let mut newer = ask("web", A, Some(4_096));
    let version = newer.len() - 5;
    newer[version] = 7;
    let refusal = read(&newer).unwrap_err().unwrap();
    assert_eq!((refusal[3] & 0x0F, refusal[refusal.len() - 6]), (0, 1), "BADVERS");
}

#[test]
fn what_is_no_question_is_refused_or_ignored() {
    let code = |packet: &[u8]| read(packet).unwrap_err().map(|refusal| refusal[3] & 0x0F);
    let good = ask("web", A, None);
    assert_eq!(code(&good[..11]), None, "no header");
    let mut answer = good.clone();
    answer[2] |= 0x80;
    assert_eq!(code(&answer), None, "an answer is never answered");
    for (place, value, expected) in [
        (2, 0x28, NOTIMP),
        (5, 2, FORMERR),
        (5, 0, FORMERR),
        (12, 0xC0, FORMERR),
        (12, 90, FORMERR),
        (11, 1, FORMERR),
    ] {
        let mut packet = good.clone();
        packet[place] = value;
        assert_eq!(code(&packet), Some(expected), "byte {place} is {value}");
    }
    for cut in 12..good.len() {
        assert_eq!(code(&good[..cut]), Some(FORMERR), "cut at {cut}");
    }
    let long = vec!["a".repeat(63); 5].join(".");
    assert_eq!(code(&ask(&long, A, None)), Some(FORMERR));
}

#[test]
fn a_label_with_a_dot_in_it_is_nobodys_name() {
    let mut packet = ask("web.shop", A, None);
    let dot = packet.iter().position(|byte| *byte == 4).unwrap();
    packet[dot] = b'.';
    packet[12] = 8;
    assert_eq!(read(&packet).unwrap().name, "");
}

#[test]
fn only_the_answer_to_the_question_is_one() {
    let query = read(&ask("Web", A, None)).unwrap();
    let mut answer = query.answer(&addresses(1), Transport::Udp);
    assert!(answers(&answer, 0xBEEF, &query.question));
    assert!(answers(&answer, 0xBEEF, &query.question.to_ascii_lowercase()));
    assert!(!answers(&answer, 0xBEEE, &query.question), "another id");
    assert!(!answers(
        &answer,
        0xBEEF,
        &read(&ask("wob", A, None)).unwrap().question
    ));
    assert!(!answers(
        &answer,
        0xBEEF,
        &read(&ask("web", AAAA, None)).unwrap().question
    ));
    assert!(!answers(&answer[..20], 0xBEEF, &query.question), "cut");
    answer[2] &= 0x7F;
    assert!(!answers(&answer, 0xBEEF, &query.question), "a question");
    assert!(
        answers(b"\xBE\xEF\x80\x01\0\0\0\0\0\0\0\0", 0xBEEF, &query.question),
        "FORMERR of the terse"
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        check(&bytes);
    }

    #[test]
    fn any_change_of_a_question_is_read_or_refused(
        at in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        kind in any::<u16>(),
        size in prop::option::of(any::<u16>()),
    ) {
        let mut packet = ask("web.shop.svc.cluster.local", kind, size);
        for (index, byte) in at {
            let place = index.index(packet.len());
            packet[place] = byte;
        }
        check(&packet);
    }
}

fn check(bytes: &[u8]) {
    match read(bytes) {
        Err(None) => assert!(bytes.len() < 12 || bytes[2] & 0x80 != 0),
        Err(Some(refusal)) => {
            assert_eq!(refusal[..2], bytes[..2]);
            assert!(refusal[2] & 0x80 != 0);
        }
        Ok(query) => {
            for transport in [Transport::Udp, Transport::Tcp] {
                let answer = query.answer(&addresses(300), transport);
                assert!(answer.len() <= query.limit(transport));
                assert!(answers(&answer, query.id, &query.question));
                assert!(read(&answer).is_err());
            }
        }
    }
}
