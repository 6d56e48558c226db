//! Packs the relocations of the program that ships (DT_RELR): of a static program that may lie anywhere they are some 900 KB, which
//! become 10. Its C library applies them itself as it starts, which glibc does from 2.36 on; with an older one nothing is packed.

use std::{env, process::Command};

#[expect(clippy::disallowed_methods, reason = "what Cargo says, it says so")]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |variable: &str, wanted: &str| env::var(variable).is_ok_and(|found| found == wanted);
    let ships =
        is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu");
    if ships && env::var("HOST").ok() == env::var("TARGET").ok() && unpacks() {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Whether this machine's C library, which is linked in, applies packed relocations.
fn unpacks() -> bool {
    let said = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let said = said
        .map(|said| String::from_utf8_lossy(&said.stdout).into_owned())
        .unwrap_or_default();
    let mut numbers = said
        .trim()
        .rsplit(' ')
        .next()
        .unwrap_or_default()
        .split('.')
        .map(str::parse::<u32>);
    matches!((numbers.next(), numbers.next()), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= (2, 36))
}
