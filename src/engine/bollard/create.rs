//! The body of a create. Everything but the environment is bollard's model; the environment is escaped straight into one
//! buffer that is wiped when the request is gone, so that plaintext passes through no `String`, no JSON value and no
//! buffer of ours that outlives the call. Called by `containers`.

use std::net::IpAddr;

use ::bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, Mount as MountModel,
    MountTmpfsOptions, MountType, MountVolumeOptions, NetworkingConfig, PortBinding, RestartPolicy,
    RestartPolicyNameEnum,
};
use bytes::Bytes;
use zeroize::Zeroizing;

use crate::{
    engine::SecretEnv,
    state::container::{ContainerSpec, EnvValue, EnvVar, Limits, Mount, MountSource},
};

/// The body of a create of this container, or why it cannot be made: a sentence that names a variable at most.
pub(super) fn body(spec: &ContainerSpec, env: &SecretEnv) -> Result<Bytes, String> {
    let variables = spec
        .env
        .iter()
        .map(|var| variable(var, env))
        .collect::<Result<Vec<_>, _>>()?;
    let rest = serde_json::to_vec(&model(spec)).map_err(|e| e.to_string())?;
    let rest = rest
        .strip_prefix(b"{")
        .ok_or("the model of a container is not an object")?;
    // Reserved in full: a buffer that grows leaves copies behind that nobody wipes.
    let length = variables
        .iter()
        .map(|(name, value)| escaped_len(name) + escaped_len(value) + 4)
        .sum::<usize>();
    let mut out = Zeroizing::new(Vec::with_capacity(length + rest.len() + 16));
    out.extend_from_slice(b"{\"Env\":[");
    for (index, (name, value)) in variables.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"\"" } else { b",\"" });
        escape_into(&mut out, name);
        out.push(b'=');
        escape_into(&mut out, value);
        out.push(b'"');
    }
    // The model always has an image, so there is something after the comma.
    out.extend_from_slice(b"],");
    out.extend_from_slice(rest);
    Ok(Bytes::from_owner(out))
}

/// Whether a create of this container carries plaintext.
pub(super) fn has_slots(spec: &ContainerSpec) -> bool {
    spec.env.iter().any(|var| matches!(var.value, EnvValue::Slot(_)))
}

fn variable<'a>(var: &'a EnvVar, env: &'a SecretEnv) -> Result<(&'a str, &'a str), String> {
    let name = var.name.as_str();
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(format!("the name {name:?} is not one of an environment variable"));
    }
    let value = match &var.value {
        EnvValue::Literal(text) => text.as_str(),
        EnvValue::Slot(slot) => {
            let bytes = env
                .get(slot)
                .ok_or_else(|| format!("there is no value for the variable {name}"))?;
            std::str::from_utf8(bytes.expose()).map_err(|_| {
                format!("the value of the variable {name} is not UTF-8 text, which an environment must be")
            })?
        }
    };
    if value.contains('\0') {
        return Err(format!(
            "the value of the variable {name} contains a NUL byte, which no environment can hold"
        ));
    }
    Ok((name, value))
}

fn escaped_len(text: &str) -> usize {
    text.bytes()
        .map(|byte| escape(byte).map_or(1, |_| if short(byte).is_some() { 2 } else { 6 }))
        .sum()
}

/// Escapes what JSON demands and no more; Go reads the rest as it is.
fn escape_into(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match (escape(byte), short(byte)) {
            (None, _) => out.push(byte),
            (Some(_), Some(letter)) => out.extend_from_slice(&[b'\\', letter]),
            (Some([high, low]), None) => out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]),
        }
    }
}

/// The two hex digits of a byte that must be escaped.
fn escape(byte: u8) -> Option<[u8; 2]> {
    let digit = |n: u8| if n < 10 { b'0' + n } else { b'a' + n - 10 };
    (byte < 0x20 || byte == b'"' || byte == b'\\').then(|| [digit(byte >> 4), digit(byte & 15)])
}

fn short(byte: u8) -> Option<u8> {
    matches!(byte, b'"' | b'\\').then_some(byte)
}

/// All but the environment.
fn model(spec: &ContainerSpec) -> ContainerCreateBody {
    let exposed = spec
        .ports
        .iter()
        .map(|port| format!("{}/{}", port.container_port, port.protocol.as_str()));
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        hostname: spec.hostname.clone(),
        user: spec.user.clone(),
        entrypoint: spec.entrypoint.clone(),
        cmd: spec.cmd.clone(),
        working_dir: spec.working_dir.clone(),
        labels: Some(spec.labels.clone().into_iter().collect()),
        exposed_ports: Some(exposed.collect()),
        stop_timeout: Some(spec.stop_timeout),
        host_config: Some(host_config(spec)),
        networking_config: spec.network.as_ref().map(|join| NetworkingConfig {
            endpoints_config: Some(
                [(join.name.clone(), endpoint(&join.aliases, join.address))]
                    .into_iter()
                    .collect(),
            ),
        }),
        ..Default::default()
    }
}

/// A place on a network under these names.
pub(super) fn endpoint(aliases: &[String], address: Option<IpAddr>) -> EndpointSettings {
    EndpointSettings {
        aliases: Some(aliases.to_vec()),
        ipam_config: address.map(|address| EndpointIpamConfig {
            ipv4_address: address.is_ipv4().then(|| address.to_string()),
            ipv6_address: address.is_ipv6().then(|| address.to_string()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn host_config(spec: &ContainerSpec) -> HostConfig {
    let (memory, nano_cpus) = positive(&spec.limits);
    let mut ports = std::collections::BTreeMap::<String, Vec<PortBinding>>::new();
    for port in &spec.ports {
        let key = format!("{}/{}", port.container_port, port.protocol.as_str());
        let binding = PortBinding {
            host_ip: Some(port.host_ip.clone()),
            host_port: Some(port.host_port.to_string()),
        };
        ports.entry(key).or_default().push(binding);
    }
    HostConfig {
        memory,
        // Equal to the memory: no swap on top of it.
        memory_swap: memory,
        nano_cpus,
        pids_limit: spec.pids,
        port_bindings: Some(
            ports
                .into_iter()
                .map(|(key, bindings)| (key, Some(bindings)))
                .collect(),
        ),
        mounts: Some(spec.mounts.iter().map(mount).collect()),
        cap_add: Some(spec.cap_add.clone()),
        cap_drop: Some(spec.cap_drop.clone()),
        security_opt: spec
            .no_new_privileges
            .then(|| vec!["no-new-privileges".to_owned()]),
        readonly_rootfs: Some(spec.read_only_rootfs),
        privileged: Some(spec.privileged),
        network_mode: Some(
            spec.network
                .as_ref()
                .map_or_else(|| "none".to_owned(), |join| join.name.clone()),
        ),
        restart_policy: Some(if spec.restarts {
            always_restart()
        } else {
            no_restart()
        }),
        dns: (!spec.dns.is_empty()).then(|| spec.dns.iter().map(ToString::to_string).collect()),
        ..Default::default()
    }
}

/// The limits that say something: zero means "unchanged" to an update and "unlimited" to a create.
pub(super) fn positive(limits: &Limits) -> (Option<i64>, Option<i64>) {
    (
        limits.memory.filter(|n| *n > 0),
        limits.nano_cpus.filter(|n| *n > 0),
    )
}

/// The operator restarts containers; the engine must not.
pub(super) fn no_restart() -> RestartPolicy {
    RestartPolicy {
        name: Some(RestartPolicyNameEnum::NO),
        maximum_retry_count: None,
    }
}

/// What the operator can do without, and others need while it is away.
fn always_restart() -> RestartPolicy {
    RestartPolicy {
        name: Some(RestartPolicyNameEnum::ALWAYS),
        maximum_retry_count: None,
    }
}

fn mount(mount: &Mount) -> MountModel {
    let files = matches!(mount.source, MountSource::Files(_));
    let (typ, source, tmpfs) = match &mount.source {
        // A typed bind, unlike `Binds`, refuses a source that does not exist instead of making it.
        MountSource::HostPath(path) => (MountType::BIND, Some(path.clone()), None),
        MountSource::Volume(name) | MountSource::Files(name) => (MountType::VOLUME, Some(name.clone()), None),
        MountSource::Anonymous => (MountType::VOLUME, None, None),
        MountSource::Tmpfs(size) => (
            MountType::TMPFS,
            None,
            Some(MountTmpfsOptions {
                size_bytes: *size,
                ..Default::default()
            }),
        ),
    };
    MountModel {
        target: Some(mount.target.clone()),
        source,
        typ: Some(typ),
        read_only: Some(mount.read_only),
        tmpfs_options: tmpfs,
        volume_options: files.then(|| MountVolumeOptions {
            no_copy: Some(true),
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{seal::Plaintext, state::container::SlotId};

    fn spec(env: Vec<EnvVar>) -> ContainerSpec {
        ContainerSpec {
            name: "c".into(),
            image: "i".into(),
            entrypoint: None,
            cmd: None,
            working_dir: None,
            env,
            labels: [("k".to_owned(), "v".to_owned())].into(),
            hostname: None,
            user: None,
            read_only_rootfs: false,
            no_new_privileges: false,
            privileged: false,
            cap_add: vec![],
            cap_drop: vec![],
            limits: Limits::default(),
            pids: None,
            ports: vec![],
            mounts: vec![],
            network: None,
            dns: vec![],
            restarts: false,
            stop_timeout: 10,
        }
    }

    fn slot(name: &str) -> EnvVar {
        EnvVar {
            name: name.into(),
            value: EnvValue::Slot(SlotId(name.into())),
        }
    }

    fn secret(name: &str, value: &[u8]) -> SecretEnv {
        [(SlotId(name.into()), Plaintext::new(value.to_vec()))].into()
    }

    #[test]
    fn a_value_reaches_the_body_byte_for_byte() {
        let text: String = (1u8..128)
            .map(char::from)
            .chain("=\"\\ü𝄞\u{2028}".chars())
            .collect();
        let literal = EnvVar {
            name: "L".into(),
            value: EnvValue::Literal(text.clone()),
        };
        let body = body(&spec(vec![literal, slot("S")]), &secret("S", text.as_bytes())).unwrap();
        let parsed: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(parsed["Env"][0], format!("L={text}"));
        assert_eq!(parsed["Env"][1], format!("S={text}"));
        assert_eq!(parsed["Image"], "i");
        assert_eq!(parsed["HostConfig"]["NetworkMode"], "none");
    }

    #[test]
    fn the_buffer_never_grows_after_plaintext_is_in_it() {
        let value = "\u{1}\"\\x".repeat(100);
        let escaped: Vec<u8> = {
            let mut out = Vec::new();
            escape_into(&mut out, &value);
            out
        };
        assert_eq!(escaped.len(), escaped_len(&value));
    }

    #[test]
    fn a_value_that_no_environment_can_hold_is_refused_by_name_alone() {
        for bytes in [&b"hidden\0canary"[..], &b"hidden\xffcanary"[..]] {
            let message = body(&spec(vec![slot("PASSWORD")]), &secret("PASSWORD", bytes)).unwrap_err();
            assert!(
                message.contains("PASSWORD") && !message.contains("canary"),
                "{message}"
            );
        }
        let message = body(&spec(vec![slot("PASSWORD")]), &SecretEnv::new()).unwrap_err();
        assert!(message.contains("PASSWORD"), "{message}");
    }

    #[test]
    fn an_empty_environment_and_an_empty_value_are_fine() {
        let parsed: serde_json::Value =
            serde_json::from_slice(&body(&spec(vec![]), &SecretEnv::new()).unwrap()).unwrap();
        assert_eq!(parsed["Env"], serde_json::json!([]));
        let body = body(&spec(vec![slot("S")]), &secret("S", b"")).unwrap();
        let parsed: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(parsed["Env"][0], "S=");
    }
}
