//! What a refusal of the engine means: status code and text -> [`Kind`], and which refusals are successes to us.
//! Pure. The texts are those of 20.10 and, where they differ, of 24 to 29; text is asked only where the status code says
//! too little (start and pull answer 500 for nearly everything). Called by the other files of this folder.

use crate::engine::{Kind, Op};

/// What a refusal means for this call. `subject` is what it was about: users choose the
/// words of a reference, so they do not count.
pub(super) fn kind(op: Op, status: u16, text: &str, subject: &str) -> Kind {
    let text = if op == Op::PullImage {
        without(text, subject)
    } else {
        text.to_owned()
    }
    .to_lowercase();
    let by_text = match op {
        Op::PullImage => pull(status, &text),
        Op::CreateContainer => host_path(&text),
        Op::StartContainer => start(status, &text),
        // 20.10 answers 500 for a subnet that is none
        Op::CreateNetwork => has(&text, &["invalid cidr"])
            .then_some(Kind::Invalid)
            .or_else(|| address_space(&text)),
        // 500 for links that go round in a circle
        Op::ReadLink | Op::ReadFile => has(&text, &["too many links"]).then_some(Kind::Invalid),
        Op::RemoveNetwork => has(&text, &["has active endpoints"]).then_some(Kind::NetworkInUse),
        // 403 `endpoint with name X already exists in network Y`
        Op::ConnectNetwork => has(
            &text,
            &["already exists in network", "is already attached to network"],
        )
        .then_some(Kind::Conflict)
        .or_else(|| address_space(&text)),
        _ => None,
    };
    by_text.unwrap_or(by_status(status))
}

/// Whether a refusal says that nothing is at the path that was asked for: nothing of that name, or below what is no
/// directory (500 in 20.10). That there is no container is the same 404, in other words.
pub(super) fn no_such_path(status: u16, text: &str) -> bool {
    let text = text.to_lowercase();
    status == 404 && !text.starts_with("no such container") || text.ends_with("not a directory")
}

/// Whether a refusal says that what was asked for is so already.
pub(super) fn already_so(op: Op, status: u16, text: &str) -> bool {
    let text = text.to_lowercase();
    match op {
        Op::RemoveContainer => status == 404 || (status == 409 && text.contains("is already in progress")),
        // 500 in 20.10, 409 later
        Op::UnpauseContainer => status != 404 && text.contains("is not paused"),
        // 400 in all versions
        Op::RenameContainer => text.contains("same name as its current name"),
        Op::RemoveNetwork | Op::RemoveVolume | Op::RemoveImage => status == 404,
        // 404 for a container or a network that is gone; 403 or 500 for one that is not on it
        Op::DisconnectNetwork => status == 404 || text.contains("is not connected to"),
        _ => false,
    }
}

fn by_status(status: u16) -> Kind {
    match status {
        404 => Kind::NotFound,
        409 => Kind::Conflict,
        400..=499 => Kind::Invalid,
        _ => Kind::Failed,
    }
}

fn start(status: u16, text: &str) -> Option<Kind> {
    // 403 `Address already in use` is a taken static address; a taken port is a 500 (20.10 to 29).
    let port_taken = status != 403 && has(text, &["port is already allocated", "address already in use"]);
    if port_taken {
        return Some(Kind::PortTaken);
    }
    if status == 403 && text.contains("address already in use") {
        return Some(Kind::AddressSpace);
    }
    if text.contains("task ") && text.contains(": already exists") || text.contains("id already in use") {
        return Some(Kind::Unstartable);
    }
    // 500 `error while mounting volume '...': failed to mount local volume: mount tmpfs:..., data: ...: invalid argument`
    if text.contains("failed to mount local volume") {
        return Some(Kind::MountRefused);
    }
    address_space(text).or_else(|| host_path(text)).or_else(|| {
        // 400 `...: exec: "nosuch": executable file not found in $PATH: unknown`, or a path with one of the others
        let not_runnable = text.contains("exec")
            && has(
                text,
                &[
                    "executable file not found",
                    "no such file or directory",
                    "permission denied",
                    "exec format error",
                    "is a directory",
                ],
            );
        not_runnable.then_some(Kind::CommandNotRunnable)
    })
}

fn host_path(text: &str) -> Option<Kind> {
    let missing = text.contains("bind source path does not exist")
        || (text.contains("error mounting") && text.contains("no such file or directory"));
    missing.then_some(Kind::HostPathMissing)
}

fn address_space(text: &str) -> Option<Kind> {
    has(
        text,
        &[
            "pool overlaps with other one",
            "overlapping ipv4",
            // 20.10 answers 404 for it
            "non-overlapping ipv4 address pool",
            "predefined address pools have been fully subnetted",
            "failed to allocate gateway",
            "no available addresses on this pool",
            "no available ipv4 addresses",
        ],
    )
    .then_some(Kind::AddressSpace)
}

fn pull(status: u16, text: &str) -> Option<Kind> {
    if status == 400 {
        return Some(Kind::Invalid);
    }
    let denied = [
        "no basic auth credentials",
        "unauthorized",
        "authentication required",
        "access denied",
        "denied:",
        "401",
        "403 forbidden",
    ];
    let absent = [
        "manifest unknown",
        "not found",
        "name unknown",
        "no matching manifest",
    ];
    let down = [
        "dial tcp",
        "connection refused",
        "connection reset",
        "no such host",
        "timeout",
        "deadline exceeded",
        "eof",
        "tls:",
        "x509",
        "http response to https client",
        "toomanyrequests",
        "too many requests",
        "received unexpected http status",
        "status code 5",
        "no route to host",
        "unreachable",
        "proxyconnect",
        "temporary failure",
    ];
    if has(text, &denied) {
        Some(Kind::RegistryDenied)
    } else if has(text, &down) {
        // before "not found", which a resolver says of a registry's host, too
        Some(Kind::RegistryUnavailable)
    } else if status == 404 || has(text, &absent) {
        Some(Kind::ImageNotFound)
    } else {
        None
    }
}

fn has(text: &str, any: &[&str]) -> bool {
    any.iter().any(|part| text.contains(part))
}

/// The text of a pull's refusal without the reference, whose words the user chose.
fn without(text: &str, reference: &str) -> String {
    let name = reference.split('@').next().unwrap_or(reference);
    let repository = match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    };
    [reference, name, repository]
        .iter()
        .fold(text.to_owned(), |text, part| without_word(&text, part))
}

/// Cuts out a word where it stands alone, so that the image `a` does not eat every `a`.
fn without_word(text: &str, word: &str) -> String {
    if word.is_empty() {
        return text.to_owned();
    }
    let alone = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, from) = rest.split_at(at);
        let after = from.get(word.len()..).unwrap_or_default();
        kept.push_str(before);
        if !alone(before.chars().next_back()) || !alone(after.chars().next()) {
            kept.push_str(word);
        }
        rest = after;
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_host_port_is_known_in_the_words_of_each_version() {
        for text in [
            "driver failed programming external connectivity on endpoint a (b): Bind for 127.0.0.1:1 failed: port is already allocated",
            "driver failed ... Error starting userland proxy: listen tcp4 0.0.0.0:1: bind: address already in use",
            "failed to set up container networking: driver failed programming external connectivity on endpoint a (b): failed to bind host port for 0.0.0.0:1:172.18.0.2:80/tcp: address already in use",
        ] {
            assert_eq!(
                kind(Op::StartContainer, 500, text, "x"),
                Kind::PortTaken,
                "{text}"
            );
        }
        assert_eq!(
            kind(Op::StartContainer, 403, "Address already in use", "x"),
            Kind::AddressSpace
        );
    }

    #[test]
    fn a_command_that_cannot_run_is_told_from_other_start_failures() {
        let text = r#"failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "nosuch": executable file not found in $PATH: unknown"#;
        assert_eq!(kind(Op::StartContainer, 400, text, "x"), Kind::CommandNotRunnable);
        assert_eq!(kind(Op::StartContainer, 500, "something else", "x"), Kind::Failed);
        assert_eq!(
            kind(Op::StartContainer, 404, "network n not found", "x"),
            Kind::NotFound
        );
    }

    #[test]
    fn an_option_that_the_kernel_does_not_know_is_a_class_of_its_own() {
        let text = "error while mounting volume '/var/lib/docker/volumes/v/_data': failed to mount local volume: mount tmpfs:/var/lib/docker/volumes/v/_data, data: size=1m,nosuch: invalid argument";
        assert_eq!(kind(Op::StartContainer, 500, text, "x"), Kind::MountRefused);
    }

    #[test]
    fn a_path_without_a_file_is_told_from_a_container_that_is_not_there() {
        assert!(no_such_path(
            404,
            "Could not find the file /x in container no such container"
        ));
        assert!(no_such_path(500, "lstat /merged/etc/passwd/x: not a directory"));
        assert!(!no_such_path(404, "No such container: ab"));
        assert!(!no_such_path(500, "lstat /x: input/output error"));
    }

    #[test]
    fn pull_failures_are_told_apart_though_all_are_500() {
        let cases = [
            (
                500,
                "Head \"http://h/v2/r/manifests/t\": no basic auth credentials",
                Kind::RegistryDenied,
            ),
            (500, "unauthorized: authentication required", Kind::RegistryDenied),
            (
                404,
                "pull access denied for r, repository does not exist or may require 'docker login'",
                Kind::RegistryDenied,
            ),
            (
                404,
                "manifest for h/r:t not found: manifest unknown: manifest unknown",
                Kind::ImageNotFound,
            ),
            (
                500,
                "Get \"http://h/v2/\": dial tcp 127.0.0.1:1: connect: connection refused",
                Kind::RegistryUnavailable,
            ),
            (
                500,
                "dial tcp: lookup registry.invalid on 10.0.0.1:53: no such host",
                Kind::RegistryUnavailable,
            ),
            (400, "invalid reference format", Kind::Invalid),
            (500, "no space left on device", Kind::Failed),
        ];
        for (status, text, expected) in cases {
            assert_eq!(kind(Op::PullImage, status, text, "h/r:t"), expected, "{text}");
        }
    }

    #[test]
    fn an_image_whose_name_says_denied_is_not_denied() {
        let text = "manifest for h/denied:unauthorized not found: manifest unknown: manifest unknown";
        assert_eq!(
            kind(Op::PullImage, 404, text, "h/denied:unauthorized"),
            Kind::ImageNotFound
        );
    }

    #[test]
    fn exhausted_address_pools_are_not_a_missing_thing() {
        let text = "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network";
        assert_eq!(kind(Op::CreateNetwork, 404, text, "n"), Kind::AddressSpace);
        assert_eq!(
            kind(
                Op::CreateNetwork,
                403,
                "Pool overlaps with other one on this address space",
                "n"
            ),
            Kind::AddressSpace
        );
    }

    #[test]
    fn a_task_that_the_engine_has_forgotten_is_told_from_a_name_that_is_taken() {
        let said = |text: &str| kind(Op::StartContainer, 500, text, "web");
        for forgotten in ["task 1aa11e48e5ac: already exists", "id already in use"] {
            assert_eq!(said(forgotten), Kind::Unstartable, "{forgotten}");
        }
        for other in [
            "endpoint with name web already exists in network web",
            "network with name task already exists",
        ] {
            assert_eq!(said(other), Kind::Failed, "{other}");
        }
    }

    #[test]
    fn what_is_so_already_is_no_failure() {
        assert!(already_so(
            Op::RemoveContainer,
            409,
            "removal of container a is already in progress"
        ));
        assert!(!already_so(
            Op::RemoveContainer,
            409,
            "You cannot remove a running container a"
        ));
        assert!(already_so(Op::RemoveNetwork, 404, "network a not found"));
        assert!(already_so(Op::UnpauseContainer, 500, "Container a is not paused"));
        assert!(!already_so(Op::StartContainer, 404, "No such container: a"));
    }
}
