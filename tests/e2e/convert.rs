//! A Compose file that is converted and applied: it comes up, and its secrets stand where Compose puts them.

use std::fs;

use crate::harness::{IMAGE, SOON, case::Case, until};

/// Two services, of which one has its secrets at the paths of Compose and the other a sealed variable.
pub fn compose() {
    let case = Case::start("convert", &[]);
    let (password, token, variable) = (case.file_value(), case.file_value(), case.value());
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let line = r#"command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 60 & wait; done"]"#;
    write("db_password.txt", &password);
    write("token.txt", &token);
    write("site.conf", "listen 80");
    write(
        "compose.yaml",
        &format!(
            "services:
  db:
    image: {IMAGE}
    {line}
    user: '1000:1000'
    secrets: [db_password, {{source: token, target: api/token, mode: 0440}}]
    configs: [{{source: site, target: /etc/site/site.conf}}]
    healthcheck: {{test: test -s /run/secrets/db_password, interval: 1s}}
  web:
    image: {IMAGE}
    {line}
    depends_on: [db]
    environment: {{COST: 'a$$(b)$$$$c', DB_PASSWORD: }}
secrets:
  db_password: {{file: ./db_password.txt}}
  token: {{file: ./token.txt}}
configs:
  site: {{file: ./site.conf}}
"
        ),
    );
    write(
        ".env",
        &format!("DB_PASSWORD='{}'\n", variable.replace('\'', "\\'")),
    );
    let file = folder.path().join("compose.yaml");
    let ns = case.ns.clone();
    let args = [
        "convert",
        "-f",
        file.to_str().unwrap(),
        "--namespace",
        &ns,
        "--seal-env",
    ];
    let said = case.supercargo(&args, b"");
    assert!(said.ok, "{}", said.err);
    case.apply(&said.out);
    for name in ["db", "web"] {
        case.ready(name);
    }
    let db = case.one("db");
    for (path, value) in [("db_password", &password), ("api/token", &token)] {
        until(&format!("/run/secrets/{path}"), SOON, || {
            let found = case.exec(&db, &format!("cat /run/secrets/{path}"))?;
            // Values are compared and never shown.
            if found == *value {
                Ok(())
            } else {
                Err("another value".to_owned())
            }
        });
    }
    let seen = |line: &str| case.exec(&db, line).unwrap();
    assert_eq!(seen("stat -L -c '%a %u' /run/secrets/db_password"), "444 1000");
    assert_eq!(seen("stat -L -c '%a' /run/secrets/api/token"), "440");
    assert_eq!(seen("cat /etc/site/site.conf"), "listen 80");
    let web = case.one("web");
    case.has(&web, "DB_PASSWORD", &variable).unwrap();
    case.has(&web, "COST", "a$(b)$$c").unwrap();
    case.finish();
}
