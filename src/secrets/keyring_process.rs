//! Owns what the process does to keep plaintext out of files it never wrote: no core dumps, not dumpable.
//! The only file with `unsafe`: three system calls that std does not offer, none of which touches memory.
//! Called first thing by every verb that may hold plaintext.

use std::io;

/// Turns core dumps off (`RLIMIT_CORE` 0) and makes the process not dumpable (`PR_SET_DUMPABLE` 0), which also keeps
/// other processes of the same user from reading its memory through `/proc` or ptrace.
///
/// # Errors
/// What the system said; go on only after telling the user that a crash may write secrets to disk.
#[expect(unsafe_code, reason = "std offers neither setrlimit nor prctl")]
pub fn harden_process() -> io::Result<()> {
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: setrlimit reads one struct that outlives the call.
    if unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) } != 0 {
        return Err(io::Error::last_os_error());
    }
    #[cfg(target_os = "linux")]
    {
        let off: libc::c_ulong = 0;
        // SAFETY: PR_SET_DUMPABLE takes one integer and touches no memory of ours.
        if unsafe { libc::prctl(libc::PR_SET_DUMPABLE, off) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// The user this process acts as.
#[must_use]
#[expect(unsafe_code, reason = "std does not offer geteuid")]
pub fn effective_uid() -> u32 {
    // SAFETY: geteuid takes nothing, touches nothing and cannot fail.
    unsafe { libc::geteuid() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn after_hardening_no_core_can_be_written() {
        harden_process().unwrap();
        let limits = std::fs::read_to_string("/proc/thread-self/limits").unwrap_or_default();
        if let Some(line) = limits.lines().find(|l| l.starts_with("Max core file size")) {
            let words: Vec<_> = line.split_whitespace().collect();
            assert_eq!(&words[4..6], ["0", "0"], "{line}");
        }
        // A second call changes nothing and is allowed.
        harden_process().unwrap();
    }
}
