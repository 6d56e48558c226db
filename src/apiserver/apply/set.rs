//! A set of field paths as a trie. Owns union, intersection, difference and iteration; knows no schema and no JSON.
//! A node is a member, or leads to members, or both; taking a parent away leaves what is below it (as upstream's
//! `Difference` does), except in [`Set::subtract_below`]. Used by every file of this folder.

use std::cmp::Ordering;

use super::element::PathElement;

/// Paths below one value. Nodes are sorted, each element at most once, none without members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Set {
    nodes: Vec<Node>,
}

/// One child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Which child.
    pub element: PathElement,
    /// The child itself is in the set.
    pub member: bool,
    /// What of the child's children is in the set.
    pub below: Set,
}

impl Set {
    /// The set of these nodes, in whatever order; nodes with the same element become one, empty ones are left out.
    #[must_use]
    pub fn from_nodes(mut nodes: Vec<Node>) -> Self {
        nodes.retain(Node::says_something);
        if !nodes.is_sorted_by(|a, b| a.element < b.element) {
            nodes.sort_by(|a, b| a.element.cmp(&b.element));
            nodes.dedup_by(|later, kept| {
                let twice = later.element == kept.element;
                if twice {
                    kept.absorb(std::mem::take(&mut later.below), later.member);
                }
                twice
            });
        }
        Self { nodes }
    }

    /// The set of one path; empty for the empty path, which nobody owns.
    #[must_use]
    pub fn of_path(path: &[PathElement]) -> Self {
        let mut set = Self::default();
        for (at, element) in path.iter().enumerate().rev() {
            set = Self {
                nodes: vec![Node {
                    element: element.clone(),
                    member: at + 1 == path.len(),
                    below: set,
                }],
            };
        }
        set
    }

    /// The set of one path of fields.
    #[must_use]
    pub fn of_fields(fields: &[&str]) -> Self {
        let path: Vec<PathElement> = fields
            .iter()
            .map(|field| PathElement::Field((*field).to_owned()))
            .collect();
        Self::of_path(&path)
    }

    /// No member anywhere.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The children, sorted.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The children, for changes that keep the order and leave no node empty.
    pub fn nodes_mut(&mut self) -> &mut [Node] {
        &mut self.nodes
    }

    /// The child, when it or something below it is in the set.
    #[must_use]
    pub fn get(&self, element: &PathElement) -> Option<&Node> {
        self.nodes
            .binary_search_by(|node| node.element.cmp(element))
            .ok()
            .map(|at| &self.nodes[at])
    }

    /// Whether the path is a member.
    #[must_use]
    pub fn has(&self, path: &[PathElement]) -> bool {
        let [first, rest @ ..] = path else { return false };
        self.get(first).is_some_and(|node| {
            if rest.is_empty() {
                node.member
            } else {
                node.below.has(rest)
            }
        })
    }

    /// Adds all of `other`.
    pub fn add(&mut self, other: Self) {
        if self.nodes.is_empty() {
            *self = other;
            return;
        }
        if other.nodes.is_empty() {
            return;
        }
        let mut merged = Vec::with_capacity(self.nodes.len() + other.nodes.len());
        let mut mine = std::mem::take(&mut self.nodes).into_iter().peekable();
        for theirs in other.nodes {
            while let Some(node) = mine.next_if(|node| node.element < theirs.element) {
                merged.push(node);
            }
            match mine.next_if(|node| node.element == theirs.element) {
                Some(mut node) => {
                    node.absorb(theirs.below, theirs.member);
                    merged.push(node);
                }
                None => merged.push(theirs),
            }
        }
        merged.extend(mine);
        self.nodes = merged;
    }

    /// Takes the members of `other` away; what is below them stays.
    pub fn subtract(&mut self, other: &Self) {
        self.retain(other, |node, theirs| {
            node.member &= !theirs.member;
            node.below.subtract(&theirs.below);
        });
    }

    /// Takes the members of `other` away, and all that is below them.
    pub fn subtract_below(&mut self, other: &Self) {
        self.retain(other, |node, theirs| {
            if theirs.member {
                node.member = false;
                node.below = Self::default();
            } else {
                node.below.subtract_below(&theirs.below);
            }
        });
    }

    fn retain(&mut self, other: &Self, each: impl Fn(&mut Node, &Node)) {
        let mut rest = other.nodes.as_slice();
        if rest.is_empty() {
            return;
        }
        self.nodes.retain_mut(|node| {
            while let [theirs, tail @ ..] = rest {
                match theirs.element.cmp(&node.element) {
                    Ordering::Less => rest = tail,
                    Ordering::Equal => {
                        each(node, theirs);
                        break;
                    }
                    Ordering::Greater => break,
                }
            }
            node.says_something()
        });
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut nodes = Vec::new();
        let mut rest = other.nodes.as_slice();
        for node in &self.nodes {
            while let [theirs, tail @ ..] = rest
                && theirs.element < node.element
            {
                rest = tail;
            }
            if let [theirs, ..] = rest
                && theirs.element == node.element
            {
                let both = Node {
                    element: node.element.clone(),
                    member: node.member && theirs.member,
                    below: node.below.intersection(&theirs.below),
                };
                nodes.extend(both.says_something().then_some(both));
            }
        }
        Self { nodes }
    }

    /// Whether every member is one of `other`.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.nodes.iter().all(|node| {
            other
                .get(&node.element)
                .is_some_and(|theirs| (theirs.member || !node.member) && node.below.is_within(&theirs.below))
        })
    }

    /// Every member, those of one parent before what is below them.
    pub fn for_each(&self, each: &mut impl FnMut(&[PathElement])) {
        self.walk(&mut Vec::new(), each);
    }

    fn walk(&self, path: &mut Vec<PathElement>, each: &mut impl FnMut(&[PathElement])) {
        for node in self.nodes.iter().filter(|node| node.member) {
            path.push(node.element.clone());
            each(path);
            path.pop();
        }
        for node in self.nodes.iter().filter(|node| !node.below.is_empty()) {
            path.push(node.element.clone());
            node.below.walk(path, each);
            path.pop();
        }
    }
}

impl Node {
    fn says_something(&self) -> bool {
        self.member || !self.below.is_empty()
    }

    fn absorb(&mut self, below: Set, member: bool) {
        self.member |= member;
        self.below.add(below);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<PathElement> {
        text.split('.')
            .map(|field| PathElement::Field(field.to_owned()))
            .collect()
    }

    fn set(paths: &[&str]) -> Set {
        paths.iter().fold(Set::default(), |mut all, text| {
            all.add(Set::of_path(&path(text)));
            all
        })
    }

    fn listed(set: &Set) -> Vec<String> {
        let mut all = Vec::new();
        set.for_each(&mut |path| {
            all.push(path.iter().map(ToString::to_string).collect::<String>()[1..].to_owned())
        });
        all
    }

    #[test]
    fn a_parent_and_its_children_are_separate_members() {
        let all = set(&["a.b.c", "a.b", "a"]);
        assert!(all.has(&path("a")) && all.has(&path("a.b")) && all.has(&path("a.b.c")));
        assert!(!all.has(&path("a.b.c.d")) && !all.has(&path("b")) && !all.has(&[]));
        assert_eq!(Set::of_path(&[]), Set::default());
    }

    #[test]
    fn members_of_one_parent_come_before_what_is_below_them() {
        assert_eq!(listed(&set(&["c", "a.x", "b.y", "a"])), ["a", "c", "a.x", "b.y"]);
    }

    #[test]
    fn a_difference_keeps_what_is_below_a_member_taken_away() {
        let mut all = set(&["a", "a.b", "c"]);
        all.subtract(&set(&["a", "b", "c.d"]));
        assert_eq!(listed(&all), ["c", "a.b"]);
        all.subtract(&set(&["a.b", "c"]));
        assert!(all.is_empty());
    }

    #[test]
    fn a_recursive_difference_takes_what_is_below_too() {
        let mut all = set(&["a.b.c", "a.x", "d"]);
        all.subtract_below(&set(&["a.b", "d.e", "z"]));
        assert_eq!(listed(&all), ["d", "a.x"]);
    }

    #[test]
    fn an_intersection_has_only_members_of_both() {
        let both = set(&["a", "a.b", "c.d", "e"]).intersection(&set(&["a.b", "c", "e", "f"]));
        assert_eq!(listed(&both), ["e", "a.b"]);
        assert!(set(&["a.b"]).intersection(&set(&["a"])).is_empty());
    }

    #[test]
    fn a_union_has_the_members_of_both_once() {
        let mut all = set(&["b", "a.x"]);
        all.add(set(&["a", "a.x", "a.y", "c", "b"]));
        assert_eq!(listed(&all), ["a", "b", "c", "a.x", "a.y"]);
        assert!(set(&["a.x", "b"]).is_within(&all) && !all.is_within(&set(&["b"])));
        assert!(!set(&["a"]).is_within(&set(&["a.b"])));
    }

    #[test]
    fn nodes_given_out_of_order_and_twice_become_one_set() {
        let node = |field: &str, member, below| Node {
            element: PathElement::Field(field.to_owned()),
            member,
            below,
        };
        let all = Set::from_nodes(vec![
            node("b", false, set(&["y"])),
            node("a", true, Set::default()),
            node("b", true, set(&["x"])),
            node("c", false, Set::default()),
        ]);
        assert_eq!(all, set(&["a", "b", "b.x", "b.y"]));
    }
}
