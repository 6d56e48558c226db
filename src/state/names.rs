//! Names of Docker objects: deterministic, so that a repeated create answers 409; labels are the truth. Kubernetes names have no `_`.
//! ```text
//! container  <namespace>_<deployment>_<replica>_<instance 6>_<owner and revision 8>
//! network    <namespace>_<instance 6>
//! agent      <namespace>_agent_<instance 6>
//! volume     <namespace>_<volume>_<instance 6>
//! program    supercargo_program_<version>_<instance 6>
//! files      <namespace>_<deployment>_files_<instance 6>_<owner and content 8>
//! ```

use super::{
    hash::hex,
    owner::{Instance, Owner},
};

/// Docker sets no limit; the resolver and many tools do at 63 to 255. Past this a part is cut and a hash put in.
const LONGEST: usize = 128;

/// The name of one replica's container of one revision.
#[must_use]
pub fn container(owner: &Owner, replica: u32, revision: &str) -> String {
    let tail = format!(
        "_{replica}_{}_{}",
        owner.instance.short(),
        hex(&[&owner.uid, revision], 8)
    );
    fit(&format!("{}_{}", owner.namespace, owner.name), &tail)
}

/// The name of a namespace's network.
#[must_use]
pub fn network(instance: &Instance, namespace: &str) -> String {
    fit(namespace, &format!("_{}", instance.short()))
}

/// The name of a namespace's agent.
#[must_use]
pub fn agent(instance: &Instance, namespace: &str) -> String {
    fit(namespace, &format!("_agent_{}", instance.short()))
}

/// The engine's name of a data volume that manifests of `namespace` call `volume`.
#[must_use]
pub fn volume(instance: &Instance, namespace: &str, volume: &str) -> String {
    fit(
        &format!("{namespace}_{volume}"),
        &format!("_{}", instance.short()),
    )
}

/// The name of the volume with the program of this version that sets protected variables.
#[must_use]
pub fn program(instance: &Instance, version: &str) -> String {
    fit(
        &format!("supercargo_program_{version}"),
        &format!("_{}", instance.short()),
    )
}

/// The name of a volume with a deployment's files, or of the container that holds some; `what` tells them apart.
#[must_use]
pub fn files(owner: &Owner, what: &[&str]) -> String {
    let parts: Vec<&str> = [owner.uid.as_str()]
        .into_iter()
        .chain(what.iter().copied())
        .collect();
    let tail = format!("_files_{}_{}", owner.instance.short(), hex(&parts, 8));
    fit(&format!("{}_{}", owner.namespace, owner.name), &tail)
}

/// The host name inside a replica: `<deployment>-<replica>`, at most 63 characters as the kernel's limit is 64.
#[must_use]
pub fn hostname(deployment: &str, replica: u32) -> String {
    let tail = format!("-{replica}");
    let mut head: String = deployment.replace('.', "-");
    head.truncate(63 - tail.len());
    format!("{}{tail}", head.trim_end_matches('-'))
}

fn fit(head: &str, tail: &str) -> String {
    if head.len() + tail.len() <= LONGEST {
        return format!("{head}{tail}");
    }
    let keep: String = head.chars().take(LONGEST - tail.len() - 9).collect();
    format!("{keep}_{}{tail}", hex(&[head], 8))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn owner(namespace: &str, name: &str) -> Owner {
        Owner {
            instance: Instance::new("i"),
            namespace: namespace.into(),
            name: name.into(),
            uid: "u".into(),
        }
    }

    proptest! {
        #[test]
        fn names_are_valid_for_docker_and_bounded(ns in "[a-z][a-z0-9-]{0,62}", name in "[a-z][a-z0-9.-]{0,252}", n in 0u32..10_000) {
            let made = container(&owner(&ns, &name), n, "r");
            prop_assert!(made.len() <= LONGEST);
            prop_assert!(made.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)));
            prop_assert!(hostname(&name, n).len() <= 63);
        }

        #[test]
        fn different_owners_never_share_a_name(a in "[a-z]{1,100}", b in "[a-z]{1,100}", c in "[a-z]{1,100}", d in "[a-z]{1,100}") {
            prop_assume!((&a, &b) != (&c, &d));
            prop_assert_ne!(container(&owner(&a, &b), 0, "r"), container(&owner(&c, &d), 0, "r"));
        }
    }

    #[test]
    fn another_revision_or_uid_is_another_name() {
        let a = owner("ns", "web");
        let b = Owner {
            uid: "v".into(),
            ..a.clone()
        };
        assert_ne!(container(&a, 0, "r1"), container(&a, 0, "r2"));
        assert_ne!(container(&a, 0, "r1"), container(&b, 0, "r1"));
        assert!(container(&a, 0, "r1").starts_with("ns_web_0_"));
    }
}
