//! The numbers behind an image's user, from the image's own `/etc/passwd` and `/etc/group`, as runc finds them: a number
//! that is in no list stands for itself, a name that is in none stands for nobody. Also what
//! a kernel can do. Pure. Called by [`super::files`].

use crate::state::files::FileUser;

/// The longest list that is read, in bytes.
pub(super) const LONGEST: u64 = 1 << 20;

/// Reads `user`, `uid`, `user:group` and all mixtures.
pub(super) fn numbers(text: &str, passwd: &[u8], group: &[u8]) -> Option<FileUser> {
    let (user, named_group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let entry = row(passwd, |fields| {
        fields.first() == Some(&user) || (is_number(user) && fields.get(2) == Some(&user))
    });
    let field = |at: usize| entry.as_ref()?.get(at)?.parse().ok();
    let uid = match field(2) {
        Some(uid) => uid,
        None if user.is_empty() => 0,
        None => user.parse().ok()?,
    };
    let gid = match named_group {
        None | Some("") => field(3).unwrap_or(0),
        Some(name) => {
            let entry = row(group, |fields| {
                fields.first() == Some(&name) || (is_number(name) && fields.get(2) == Some(&name))
            });
            match entry.and_then(|fields| fields.get(2)?.parse().ok()) {
                Some(gid) => gid,
                None => name.parse().ok()?,
            }
        }
    };
    Some(FileUser { uid, gid })
}

/// Whether a kernel of this version has the tmpfs option `noswap` (6.4 and newer).
#[must_use]
pub fn knows_noswap(kernel: &str) -> bool {
    let mut parts = kernel.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (6, 4),
        _ => false,
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// The first line whose fields are meant.
fn row(list: &[u8], is_meant: impl Fn(&[&str]) -> bool) -> Option<Vec<&str>> {
    list.split(|b| *b == b'\n').find_map(|line| {
        let fields: Vec<&str> = std::str::from_utf8(line).ok()?.trim().split(':').collect();
        is_meant(&fields).then_some(fields)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] =
        b"root:x:0:0:root:/root:/bin/sh\nnginx:x:101:102:nginx:/:/bin/false\nbad\n\xff:x:1:1\n";
    const GROUP: &[u8] = b"root:x:0:\nweb:x:33:nginx\n";

    fn found(text: &str) -> Option<(u32, u32)> {
        numbers(text, PASSWD, GROUP).map(|user| (user.uid, user.gid))
    }

    #[test]
    fn a_name_is_found_with_its_first_group() {
        assert_eq!(found("nginx"), Some((101, 102)));
        assert_eq!(found("nginx:web"), Some((101, 33)));
        assert_eq!(found("nginx:7"), Some((101, 7)));
    }

    #[test]
    fn a_number_stands_for_itself_and_has_the_group_of_its_entry() {
        assert_eq!(found("101"), Some((101, 102)));
        assert_eq!(found("5000"), Some((5000, 0)));
        assert_eq!(found("5000:web"), Some((5000, 33)));
    }

    #[test]
    fn a_name_that_is_in_no_list_is_nobody() {
        assert_eq!(found("ghost"), None);
        assert_eq!(found("nginx:ghosts"), None);
        assert_eq!(found(""), Some((0, 0)));
    }

    #[test]
    fn kernels_know_noswap_from_6_4_on() {
        for kernel in ["6.4.0", "6.18.1-generic", "10.0"] {
            assert!(knows_noswap(kernel), "{kernel}");
        }
        for kernel in ["6.3.9", "5.15.0-91-generic", "", "linux"] {
            assert!(!knows_noswap(kernel), "{kernel}");
        }
    }

    #[test]
    fn an_image_without_lists_knows_numbers_only() {
        assert_eq!(numbers("1000:1001", b"", b"").map(|u| u.gid), Some(1001));
        assert_eq!(numbers("app", b"", b""), None);
    }
}
