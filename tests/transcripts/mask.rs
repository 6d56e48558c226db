//! What may differ between two servers that behave the same: uids, times, ages, revisions, addresses, ports, paths of
//! temporary files, and the widths of columns that hold such.

use std::sync::OnceLock;

use regex::Regex;

/// A pattern, and what stands in its place.
const MASKS: &[(&str, &str)] = &[
    (
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "<uid>",
    ),
    (
        r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?[+-]\d\d:?\d\d|Z)?( UTC)?",
        "<time>",
    ),
    (
        r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}",
        "<time>",
    ),
    // The beginning of a line of klog.
    (r"(?m)^[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ ", "<log> "),
    (
        r#"(resourceVersion\\?"?: ?\\?"?|Resource Version: +)\d{2,}"#,
        "${1}<revision>",
    ),
    (
        r"(?m)(^|\s)(<invalid>|<unknown>|(\d+[dhms])+)( *$| {2,}|\))",
        "${1}<age>${4}",
    ),
    (r"<age>  +", "<age>  "),
    (r"AGE  +", "AGE  "),
    (r"LAST SEEN  +", "LAST SEEN  "),
    (r"(127\.0\.0\.1|localhost):\d+", "<server>"),
    (r"(LIVE|MERGED)-\d+", "${1}-<number>"),
    (r"kubectl-edit-\d+", "kubectl-edit-<number>"),
    ("X509SHA256=[0-9a-f]{64}", "X509SHA256=<hash>"),
    // What a server writes itself is under the name of its program.
    (r"manager: (kube-apiserver|supercargo)\b", "manager: <server>"),
];

/// The text without what may differ, and with findings sorted: the real server names them in the order of a Go map.
pub fn mask(text: &str) -> String {
    static COMPILED: OnceLock<Vec<(Regex, &str)>> = OnceLock::new();
    let all = COMPILED.get_or_init(|| {
        MASKS
            .iter()
            .map(|(pattern, with)| (Regex::new(pattern).unwrap(), *with))
            .collect()
    });
    let masked = all.iter().fold(text.to_owned(), |text, (pattern, with)| {
        pattern.replace_all(&text, *with).into_owned()
    });
    let mut lines: Vec<&str> = masked.split_inclusive('\n').collect();
    for part in lines.chunk_by_mut(|one, other| is_finding(one) && is_finding(other)) {
        part.sort_unstable();
    }
    lines.concat()
}

fn is_finding(line: &str) -> bool {
    line.starts_with("* ") || line.starts_with("  .")
}
