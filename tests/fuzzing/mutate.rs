//! How an input is changed: bytes, words that parsers know, and pieces of other inputs; deterministic by a seed.

/// xorshift64*: the same numbers on every machine.
#[derive(Debug, Clone)]
pub struct Numbers(u64);

impl Numbers {
    /// From a seed; zero is none.
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Below `limit`, 0 for none.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or(0) % limit.max(1)
    }

    /// One of them.
    pub fn of<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }
}

const BYTES: &[u8] = b"{}[]\",:\\/%&=?.;+-_*!~^$#@ \n\t\0\xFF\xC3\x80019aZ";

/// What means something to some parser.
pub const WORDS: [&str; 96] = [
    "null",
    "true",
    "-1",
    "0",
    "1e999",
    "9223372036854775808",
    "18446744073709551616",
    "0.1",
    "\"\"",
    "{}",
    "[]",
    "[[[[[[[[[[",
    "{\"a\":{\"a\":{\"a\":",
    "\\u0000",
    "\\ud800",
    "%00",
    "%2F",
    "%zz",
    "..",
    "//",
    "*",
    "\u{feff}",
    "é",
    "metadata",
    "name",
    "namespace",
    "generateName",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
    "managedFields",
    "resourceVersion",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "apiVersion",
    "kind",
    "spec",
    "status",
    "data",
    "binaryData",
    "stringData",
    "$patch",
    "$retainKeys",
    "$deleteFromPrimitiveList/finalizers",
    "$setElementOrder/secrets",
    "replace",
    "delete",
    "merge",
    "f:metadata",
    "k:{\"name\":\"a\"}",
    "v:1",
    "i:0",
    ".",
    "fieldsV1",
    "Apply",
    "Update",
    "op",
    "add",
    "remove",
    "move",
    "copy",
    "test",
    "path",
    "from",
    "value",
    "/-",
    "~1",
    "watch=true",
    "limit=1",
    "continue=",
    "resourceVersion=0",
    "resourceVersionMatch=Exact",
    "sendInitialEvents=true",
    "allowWatchBookmarks=true",
    "timeoutSeconds=1",
    "dryRun=All",
    "fieldManager=m",
    "force=true",
    "fieldValidation=Strict",
    "labelSelector=",
    "fieldSelector=",
    "propagationPolicy=Orphan",
    "gracePeriodSeconds=0",
    " in (",
    " notin (",
    "!=",
    "==",
    "x-kubernetes-list-type",
    "x-kubernetes-preserve-unknown-fields",
    "default",
    "additionalProperties",
    "self.",
    ".all(x, ",
    "[?(@.",
];

/// One to six changes of `bytes`, with pieces of `other`.
pub fn mutate(numbers: &mut Numbers, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=numbers.below(6) {
        let at = numbers.below(bytes.len() + 1);
        let until = (at + numbers.below(40)).min(bytes.len());
        match numbers.below(10) {
            0 if at < bytes.len() => bytes[at] = BYTES[numbers.below(BYTES.len())],
            1 => bytes.insert(at, BYTES[numbers.below(BYTES.len())]),
            2 => drop(bytes.drain(at..until)),
            3 => {
                let piece = bytes[at..until].to_vec();
                let to = numbers.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            4 => {
                let from = numbers.below(other.len() + 1);
                let piece = &other[from..(from + numbers.below(60)).min(other.len())];
                bytes.splice(at..at, piece.iter().copied());
            }
            5 => drop(bytes.splice(at..at, numbers.of(&WORDS).bytes())),
            6 => {
                let word = numbers.of(&WORDS);
                let (from, to) = word_at(bytes, at);
                bytes.splice(from..to, word.bytes());
            }
            7 => {
                let (from, to) = word_at(bytes, at);
                let (start, end) = word_at(other, numbers.below(other.len() + 1));
                bytes.splice(from..to, other[start..end].iter().copied());
            }
            8 => swap_words(numbers, bytes),
            _ if numbers.below(4) == 0 => bytes.truncate(at),
            _ => {}
        }
        bytes.truncate(1 << 16);
    }
}

/// The run of letters and digits around a place.
fn word_at(bytes: &[u8], at: usize) -> (usize, usize) {
    let inside = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let from = bytes[..at]
        .iter()
        .rposition(|byte| !inside(byte))
        .map_or(0, |before| before + 1);
    let to = bytes[at..]
        .iter()
        .position(|byte| !inside(byte))
        .map_or(bytes.len(), |after| at + after);
    (from, to)
}

fn swap_words(numbers: &mut Numbers, bytes: &mut Vec<u8>) {
    let first = word_at(bytes, numbers.below(bytes.len() + 1));
    let second = word_at(bytes, numbers.below(bytes.len() + 1));
    let ((from, to), (start, end)) = (first.min(second), first.max(second));
    if to <= start {
        let swapped = [&bytes[start..end], &bytes[to..start], &bytes[from..to]].concat();
        bytes.splice(from..end, swapped);
    }
}
