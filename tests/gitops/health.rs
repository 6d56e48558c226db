//! What two judges say of an object: kstatus, by the rules of cli-utils, and Argo CD, by the Lua that is shipped for it, in
//! the interpreter that Argo CD has inside.

use std::{fmt::Write as _, process::Command};

use serde_json::Value;

use crate::harness::{project, run, script};

/// A value as Lua writes it; a null is absent, as in what Argo CD hands over.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "nil".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        // Decimal escapes of bytes are Lua's one way for all of them.
        Value::String(text) => {
            text.bytes().fold("\"".to_owned(), |mut lua, byte| {
                let _written = write!(lua, "\\{byte:03}");
                lua
            }) + "\""
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(literal).collect();
            format!("{{{}}}", items.join(","))
        }
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(key, value)| format!("[{key:?}]={}", literal(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
    }
}

/// The health of each object in Argo CD.
pub fn lua(objects: &[Value]) -> Vec<String> {
    let check = std::fs::read_to_string(project().join("packaging/argocd/health.lua")).unwrap();
    let mut program = format!("local obj\nlocal function health()\n{check}\nend\nlocal told\n");
    for object in objects {
        let object = literal(object);
        let _written = write!(
            program,
            "obj = {object}\ntold = health()\nassert(type(told.message) == 'string')\nprint(told.status)\n"
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("health.lua");
    std::fs::write(&file, program).unwrap();
    let said = run(Command::new(script("lua", &[])).arg(&file), b"");
    assert!(said.ok && said.err.is_empty(), "{}{}", said.out, said.err);
    said.out.lines().map(str::to_owned).collect()
}

/// What kstatus makes of each object.
pub fn kstatus(objects: &[Value]) -> Vec<String> {
    let stream: String = objects.iter().map(|object| format!("{object}\n")).collect();
    let said = run(&mut Command::new(script("kstatus", &[])), stream.as_bytes());
    assert!(said.ok, "{}", said.err);
    let words = said.out.lines().filter_map(|line| line.split(' ').next());
    words.map(str::to_owned).collect()
}

/// Whether they say the same. Argo CD has a word for what is held on purpose, and none for what is being deleted.
pub fn agree(kstatus: &str, health: &str) -> bool {
    matches!(
        (kstatus, health),
        ("Current", "Healthy")
            | ("Failed", "Degraded")
            | ("InProgress", "Progressing" | "Suspended")
            | ("Terminating", "Progressing")
    )
}
