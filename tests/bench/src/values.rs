//! Opening sealed values, beside what RSA-4096 costs. The room `seal` of the program is compiled into this one from the
//! same files, since nothing that is shipped opens a value without the rest of an operator around it; everything else here
//! measures the program from outside.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{
    seal::{Context, Envelope, Plaintext, Ring, ScopeKind, SystemEntropy, WrittenBy, seal},
    table::{Row, Target, Unit, median},
};

const VALUES: usize = 10_000;
const ROUNDS: usize = 5;
/// Bytes of a value: a password.
const BYTES: usize = 32;

/// Milliseconds that one private operation of RSA-4096 takes, which is what a hybrid with OAEP pays for each value; its
/// padding and its AES come on top and are not counted.
fn rsa() -> Result<f64> {
    let said = Command::new("openssl")
        .args(["speed", "-mr", "-seconds", "1", "rsa4096"])
        .output()
        .context("openssl is not here")?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    // +F2:index:bits:private operations a second:public ones
    let line = text.lines().find_map(|line| line.strip_prefix("+F2:"));
    let rate = line.and_then(|line| line.split(':').nth(2)?.parse::<f64>().ok());
    Ok(1e3 / rate.with_context(|| format!("openssl speed: {text}"))?)
}

/// Seconds of processor time of this thread, which is what `openssl speed` counts, too.
fn spent() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: it writes to the struct that it is given, and nowhere else.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The rows.
pub fn run() -> Result<Vec<Row>> {
    let now = jiff::Timestamp::now();
    let ring = Ring::generate(now, &mut SystemEntropy)?;
    let to = ring.member(ring.primary()).context("no primary key")?.public();
    let mut sealed = Vec::with_capacity(VALUES);
    for n in 0..VALUES {
        let context = Context::at(ScopeKind::Strict, "bench", "values", &format!("key-{n}"))?;
        let value = Plaintext::new(vec![b'x'; BYTES]);
        sealed.push((
            seal(to, &context, &value, &mut SystemEntropy)?.to_string(),
            context,
        ));
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = spent();
        for (text, context) in &sealed {
            let envelope: Envelope = text.parse()?;
            let opened = ring.open(&envelope, context, WrittenBy::User)?;
            ensure!(opened.expose().len() == BYTES, "a value came back otherwise");
        }
        ours.push(spent() - began);
        theirs.push(rsa()?);
    }
    eprintln!("values {ours:.3?} s, RSA-4096 {theirs:.3?} ms");
    let each = median(&ours) * 1e3 / VALUES as f64;
    let mut beside = Row::plain(
        "- each of them; floor: one private operation of RSA-4096, by OpenSSL",
        Unit::Milliseconds,
        each,
        Target::FloorTimes(0.02),
        "OpenSSL's RSA is faster than the one that was thought of: Go's, which Sealed Secrets uses.",
    );
    beside.floor = Some(median(&theirs));
    Ok(vec![
        Row::plain(
            "10,000 sealed values read and opened: processor time",
            Unit::Seconds,
            median(&ours),
            Target::AtMost(2.0),
            "Each is one multiplication on Curve25519.",
        ),
        beside,
    ])
}
