//! How files are kept in a directory, by names: each generation in `..<generation>.<number>`, `..data` a link to the
//! current one, and for every first component of a path a link through `..data`. Which number is next, what a killed
//! delivery left behind, which generations nobody needs any more, which links are missing or stale: decided here from
//! what stands there, done by `shelf`.

use std::collections::{BTreeMap, BTreeSet};

use super::parcel::File;

/// The link to the current generation. Its exchange is the one moment in which all files change.
pub const DATA: &str = "..data";
/// What becomes [`DATA`].
pub const NEXT_DATA: &str = "..data_tmp";
/// The link that names the generation of which users were told.
pub const TOLD: &str = "..told";
/// What becomes [`TOLD`].
pub const NEXT_TOLD: &str = "..told_tmp";
/// A directory for links that are made before the exchange, so that after it nothing can run out of space.
pub const NEXT_LINKS: &str = "..links_tmp";
/// What a generation is called while it is written. No generation has this name.
const UNFINISHED: &str = "new";
/// How many generations before the current one are kept: a reader who has opened `..data` reads on in one of them.
const KEPT: usize = 2;

/// What stands in a directory: the names, and for a link where it leads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing(pub BTreeMap<String, Option<String>>);

/// The name of a generation's directory.
#[must_use]
pub fn directory(generation: &str, number: u64) -> String {
    format!("..{generation}.{number}")
}

/// The name of its directory while it is written.
#[must_use]
pub fn unfinished(number: u64) -> String {
    directory(UNFINISHED, number)
}

/// Where the link `name` leads.
#[must_use]
pub fn target(name: &str) -> String {
    format!("{DATA}/{name}")
}

/// The generation and the number that the name of a directory says, spelled as [`directory`] spells them.
fn parse(name: &str) -> Option<(&str, u64)> {
    let (generation, digits) = name.strip_prefix("..")?.rsplit_once('.')?;
    let number = digits.parse().ok()?;
    (!generation.is_empty() && name == directory(generation, number)).then_some((generation, number))
}

/// The generation whose directory has this name; where [`DATA`] and [`TOLD`] lead says it.
#[must_use]
pub fn generation(name: &str) -> Option<&str> {
    parse(name).map(|(generation, _)| generation)
}

impl Standing {
    /// The current generation and the name of its directory. None before the first, and when the directory is gone.
    #[must_use]
    pub fn current(&self) -> Option<(&str, &str)> {
        let name = self.link(DATA)?;
        let (generation, _) = parse(name).filter(|_| self.0.contains_key(name))?;
        Some((generation, name))
    }

    /// Where a link leads.
    #[must_use]
    pub fn link(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_deref()
    }

    /// Directories of generations and unfinished ones, by number, which is the order in which they were made.
    fn numbered(&self) -> Vec<(u64, &str, &str)> {
        let directories = self.0.iter().filter(|(_, link)| link.is_none());
        let mut found: Vec<_> = directories
            .filter_map(|(name, _)| {
                parse(name).map(|(generation, number)| (number, generation, name.as_str()))
            })
            .collect();
        found.sort_unstable();
        found
    }

    /// The number of the next generation: larger than any that is there.
    #[must_use]
    pub fn next(&self) -> u64 {
        let current = self.link(DATA).and_then(parse).map(|(_, number)| number);
        let there = self.numbered().last().map(|(number, ..)| *number);
        current.max(there).map_or(1, |number| number.saturating_add(1))
    }

    /// What deliveries that were killed have left, none of which was ever current: whatever was being made, and generations
    /// with a number beyond the current one's, since the exchange comes right after the name.
    #[must_use]
    pub fn left_over(&self) -> Vec<&str> {
        let current = self.link(DATA).and_then(parse).map(|(_, number)| number);
        let made = [NEXT_DATA, NEXT_TOLD, NEXT_LINKS];
        let made = made.into_iter().filter(|name| self.0.contains_key(*name));
        let directories = self.numbered().into_iter();
        let directories = directories
            .filter(|(number, generation, _)| *generation == UNFINISHED || Some(*number) > current)
            .map(|(.., name)| name);
        made.chain(directories).collect()
    }

    /// Earlier generations, each with the one that replaced it, from the oldest to the newest.
    #[must_use]
    pub fn replaced(&self) -> Vec<(&str, &str)> {
        let left_over = self.left_over();
        let mut names: Vec<&str> = self.numbered().into_iter().map(|(.., name)| name).collect();
        names.retain(|name| !left_over.contains(name));
        let later = names.iter().skip(1);
        names
            .iter()
            .zip(later)
            .map(|(name, later)| (*name, *later))
            .collect()
    }

    /// Earlier generations that are not among the last ones before the current.
    #[must_use]
    pub fn outlived(&self) -> Vec<&str> {
        let replaced = self.replaced();
        let count = replaced.len().saturating_sub(KEPT);
        replaced.into_iter().take(count).map(|(name, _)| name).collect()
    }

    /// What no delivery made: nobody else has anything to write here. A link of ours that leads elsewhere is among them, and
    /// so is what is no link and has the name of one.
    #[must_use]
    pub fn strangers(&self) -> Vec<&str> {
        let own = |name: &str| {
            let made = [DATA, NEXT_DATA, TOLD, NEXT_TOLD, NEXT_LINKS].contains(&name);
            let numbered = parse(name).is_some() && self.link(name).is_none();
            // The links to what is current and told are links.
            let whole = self.link(name).is_some() || ![DATA, TOLD].contains(&name);
            (made && whole) || numbered || self.leads_to_data(name)
        };
        let names = self.0.keys().map(String::as_str);
        names.filter(|name| !own(name)).collect()
    }

    /// Links that are to be made, or lead elsewhere.
    #[must_use]
    pub fn missing<'a>(&self, links: &BTreeSet<&'a str>) -> Vec<&'a str> {
        let links = links.iter().copied();
        links.filter(|name| !self.leads_to_data(name)).collect()
    }

    /// Links through `..data` that lead to nothing any more.
    #[must_use]
    pub fn stale(&self, links: &BTreeSet<&str>) -> Vec<&str> {
        let names = self.0.keys().map(String::as_str);
        names
            .filter(|name| self.leads_to_data(name) && !links.contains(name))
            .collect()
    }

    /// Whether the users of the directory find in the current generation what has this first component.
    #[must_use]
    pub fn leads_to_data(&self, name: &str) -> bool {
        self.link(name).is_some_and(|link| link == target(name))
    }
}

/// The links that files need: the first components of their paths.
#[must_use]
pub fn links(files: &[File]) -> BTreeSet<&str> {
    files
        .iter()
        .filter_map(|file| file.path.split('/').next())
        .collect()
}

/// The directories that files need, from the top, with their permissions. The root of the generation is the empty path. What a
/// group or others may read they must also reach; nobody else may.
#[must_use]
pub fn directories(files: &[File]) -> BTreeMap<&str, u32> {
    let mut found = BTreeMap::from([("", 0o700)]);
    for file in files {
        let readers = [0o040, 0o004].map(|read| {
            if file.mode & read == 0 {
                0
            } else {
                read | read >> 2
            }
        });
        let above = file
            .path
            .match_indices('/')
            .filter_map(|(end, _)| file.path.get(..end));
        for directory in above.chain([""]) {
            *found.entry(directory).or_insert(0o700) |= readers.iter().sum::<u32>();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::Plaintext;

    /// Names with `>` and where they lead, if they are links.
    fn standing(entries: &[&str]) -> Standing {
        let entry = |entry: &&str| match entry.split_once('>') {
            Some((name, to)) => (name.to_owned(), Some(to.to_owned())),
            None => ((*entry).to_owned(), None),
        };
        Standing(entries.iter().map(entry).collect())
    }

    fn file(path: &str, mode: u32) -> File {
        File {
            path: path.to_owned(),
            mode,
            bytes: Plaintext::new(vec![]),
        }
    }

    #[test]
    fn an_empty_directory_has_nothing_and_begins_with_one() {
        let empty = Standing::default();
        assert_eq!(empty.current(), None);
        assert_eq!(empty.next(), 1);
        assert_eq!(empty.left_over(), [""; 0]);
        assert_eq!(empty.replaced(), []);
    }

    #[test]
    fn the_current_generation_is_what_data_leads_to_if_that_is_there() {
        let current = standing(&["..data>..g-2.7", "..g-2.7"]);
        assert_eq!(current.current(), Some(("g-2", "..g-2.7")));
        assert_eq!(standing(&["..data>..g.7"]).current(), None);
        assert_eq!(standing(&["..data>..g.7"]).next(), 8);
        for odd in [
            "..data>elsewhere",
            "..data>..g",
            "..data>..g.07",
            "..data>...1",
            "..data>..g.+1",
        ] {
            assert_eq!(
                standing(&[odd, "elsewhere", "..g", "..g.07", "...1", "..g.+1"]).current(),
                None,
                "{odd}"
            );
        }
    }

    #[test]
    fn the_next_number_is_beyond_all_that_are_there() {
        assert_eq!(standing(&["..data>..b.9", "..a.10", "..b.9"]).next(), 11);
        assert_eq!(standing(&["..data>..b.9", "..b.9", "..new.12"]).next(), 13);
        assert_eq!(standing(&["..g.18446744073709551615"]).next(), u64::MAX);
    }

    #[test]
    fn the_current_and_two_before_it_are_kept_by_number_and_not_by_name() {
        let many = standing(&[
            "..data>..a.11",
            "..z.8",
            "..y.9",
            "..c.10",
            "..a.11",
            "..b.2",
            "x>..data/x",
        ]);
        assert_eq!(many.outlived(), ["..b.2", "..z.8"]);
        assert_eq!(many.left_over(), [""; 0]);
        assert_eq!(
            many.replaced(),
            [
                ("..b.2", "..z.8"),
                ("..z.8", "..y.9"),
                ("..y.9", "..c.10"),
                ("..c.10", "..a.11")
            ]
        );
    }

    #[test]
    fn what_was_never_current_is_left_over_and_takes_no_place_of_one_that_was() {
        let killed = standing(&[
            "..data>..b.3",
            "..a.1",
            "..a.2",
            "..b.3",
            "..c.4",
            "..new.5",
            "..data_tmp>..c.4",
            "..links_tmp",
            "..told_tmp>b",
        ]);
        let left = ["..data_tmp", "..told_tmp", "..links_tmp", "..c.4", "..new.5"];
        assert_eq!(killed.left_over(), left);
        assert_eq!(killed.replaced(), [("..a.1", "..a.2"), ("..a.2", "..b.3")]);
        assert_eq!(killed.outlived(), [""; 0]);
        assert_eq!(
            standing(&["..c.4"]).left_over(),
            ["..c.4"],
            "killed before the first exchange"
        );
        assert_eq!(
            standing(&["..data>..b.3", "..b.3", "..new.2"]).left_over(),
            ["..new.2"]
        );
    }

    #[test]
    fn links_are_made_once_mended_and_taken_away() {
        let files = [file("a", 0o400), file("tls/key", 0o400), file("tls/crt", 0o400)];
        let wanted = links(&files);
        assert_eq!(wanted, BTreeSet::from(["a", "tls"]));
        assert_eq!(Standing::default().missing(&wanted), ["a", "tls"]);
        let there = standing(&[
            "..data>..g.1",
            "..told>g",
            "a>..data/a",
            "tls>..data/b",
            "old>..data/old",
            "b>/x",
            "c",
        ]);
        assert_eq!(there.missing(&wanted), ["tls"]);
        assert_eq!(there.stale(&wanted), ["old"]);
        assert_eq!(there.strangers(), ["b", "c", "tls"]);
        assert_eq!(
            standing(&["..data", "..g.1", "..x>..g.1"]).strangers(),
            ["..data", "..x"]
        );
    }

    #[test]
    fn a_directory_is_open_to_those_who_may_read_something_below_it() {
        let modes = |files: &[File]| {
            directories(files)
                .into_iter()
                .map(|(d, m)| format!("{d}={m:o}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(modes(&[]), ["=700"]);
        assert_eq!(modes(&[file("a", 0o600), file("b/c", 0o400)]), ["=700", "b=700"]);
        assert_eq!(
            modes(&[
                file("a/b/c", 0o440),
                file("a/d", 0o404),
                file("e/f", 0o400),
                file("g/h", 0o422)
            ]),
            ["=755", "a=755", "a/b=750", "e=700", "g=700"]
        );
        assert_eq!(modes(&[file("a", 0o444)]), ["=755"]);
    }
}
