//! Reads the scripts. In a line of its own, `@file NAME` to `@end` is a file that lies beside the commands, `$ ` begins
//! a command of bash, `> ` goes on with it, and `# ` is a remark. Nothing else is a line.

use std::path::Path;

/// The commands of a file, and the files that they read.
pub struct Script {
    pub name: String,
    pub files: Vec<(String, String)>,
    pub commands: Vec<String>,
}

/// Every script of the folder, by name.
pub fn all(folder: &Path) -> Vec<Script> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "txt"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no script in {}", folder.display());
    paths
        .iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            read(name, &std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

fn read(name: String, text: &str) -> Script {
    let (mut files, mut commands) = (Vec::new(), Vec::<String>::new());
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if let Some(file) = line.strip_prefix("@file ") {
            let mut content = String::new();
            loop {
                match lines.next() {
                    Some((_, "@end")) => break,
                    Some((_, line)) => {
                        content.push_str(line);
                        content.push('\n');
                    }
                    None => panic!("{name}.txt: the file {file} has no @end"),
                }
            }
            files.push((file.to_owned(), content));
        } else if let Some(command) = line.strip_prefix("$ ") {
            commands.push(command.to_owned());
        } else if let (Some(more), Some(command)) = (line.strip_prefix("> "), commands.last_mut()) {
            command.push('\n');
            command.push_str(more);
        } else {
            assert!(
                line.is_empty() || line.starts_with('#'),
                "{name}.txt:{}: {line:?} is none of `@file`, `$ `, `> ` and `#`",
                number + 1
            );
        }
    }
    Script {
        name,
        files,
        commands,
    }
}
