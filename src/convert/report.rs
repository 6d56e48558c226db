//! What a conversion has to say besides its results: keys that are not mapped, that map with a difference, that stay
//! in plain text, that need something, and input that is wrong. Owns the five weights and how a line reads; which key is
//! what is said where it is converted. Printed by `cli`'s `convert`. No text repeats a value that may be a secret.

use std::fmt;

/// How much a note matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// The input is wrong: there is no result.
    Wrong,
    /// The key has no counterpart here.
    Unmapped,
    /// It is mapped, and means something else in part.
    Differs,
    /// A value that may be a secret stays in plain text.
    Plain,
    /// The result waits for something that others have to make or permit.
    Needs,
}

/// One line about one key of the source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// Where, such as `services.web.build`.
    pub path: String,
    /// How much it matters.
    pub weight: Weight,
    /// What is said, with the next step.
    pub text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.weight {
            Weight::Wrong | Weight::Unmapped => "",
            Weight::Differs => "differs: ",
            Weight::Plain => "warning: ",
            Weight::Needs => "needs: ",
        };
        write!(f, "{}: {word}{}", self.path, self.text)
    }
}

/// Everything that is said about one source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    notes: Vec<Note>,
}

impl Report {
    /// The input is wrong.
    pub fn wrong(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.add(Weight::Wrong, path.into(), text.into());
    }

    /// The key has no counterpart here.
    pub fn unmapped(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.add(Weight::Unmapped, path.into(), text.into());
    }

    /// It is mapped, and means something else in part.
    pub fn differs(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.add(Weight::Differs, path.into(), text.into());
    }

    /// A value that may be a secret stays in plain text.
    pub fn plain(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.add(Weight::Plain, path.into(), text.into());
    }

    /// The result waits for something.
    pub fn needs(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.add(Weight::Needs, path.into(), text.into());
    }

    fn add(&mut self, weight: Weight, path: String, text: String) {
        let note = Note { path, weight, text };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Adds the notes of another part.
    pub fn extend(&mut self, other: Self) {
        self.notes.extend(other.notes);
    }

    /// The notes, in the order in which they came up.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// How many notes have this weight.
    #[must_use]
    pub fn count(&self, weight: Weight) -> usize {
        self.notes.iter().filter(|note| note.weight == weight).count()
    }
}
