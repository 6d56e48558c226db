//! What somebody with the rights of root does to files in a volume of the fake engine behind the operator's back. Decides
//! nothing; the next look of a holder finds it. Called by tests.

use super::{Fake, holder::Content};
use crate::seal::Plaintext;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tamper {
    /// Another byte in the first file, of as many.
    Byte,
    /// Other permissions of the first file.
    Mode,
    /// A file more.
    Extra,
    /// The link to the current generation is gone.
    Data,
    /// A file of somebody else's in the place of the link to the first file.
    Link,
}

impl Fake {
    /// Does it to every volume in which something was delivered.
    pub fn tamper(&self, how: Tamper) {
        self.inside()
            .contents
            .values_mut()
            .for_each(|content| harm(content, how));
    }

    /// How many sets of files stand in a volume, the current one included.
    #[must_use]
    pub fn generations(&self, volume: &str) -> usize {
        self.inside().contents.get(volume).map_or(0, Content::generations)
    }
}

fn harm(content: &mut Content, how: Tamper) {
    match (how, content.files.first_mut()) {
        (Tamper::Byte, Some(file)) => {
            let other: Vec<u8> = file.bytes.expose().iter().map(|byte| byte ^ 1).collect();
            file.bytes = Plaintext::new(other);
        }
        (Tamper::Mode, Some(file)) => file.mode = 0o666,
        (Tamper::Link, Some(file)) => {
            content.hidden.insert(file.path.clone());
            content.strangers += 1;
        }
        (Tamper::Extra, _) => content.strangers += 1,
        (Tamper::Data, _) => content.generation = None,
        (Tamper::Byte | Tamper::Mode | Tamper::Link, None) => {}
    }
}
