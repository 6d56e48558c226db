//! docs/migrate.md as a user follows it: the commands of each section, run in a copy of its folder of `examples/migrate`
//! with the real binary. kubectl and docker are stand-ins that keep what is applied and hand out sample values; what was
//! applied is held against the rules of the API. Also the verb `convert` as people run it, and `verify` as a hook.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use supercargo::api::{Policy, validate};

/// Begins every value of the samples that must be sealed.
const VALUE: &str = "not-a-real-";
/// Sections of the page and their folders; a section without commands has none.
const SECTIONS: &[(&str, &str)] = &[
    ("From environment files", "env"),
    ("From Compose", "compose"),
    ("From Swarm", "swarm"),
    ("From Ring", "ring"),
    ("From Sealed Secrets", "sealed-secrets"),
];

/// Keeps what is applied; has one core Secret, as the controller of Sealed Secrets would have made it.
const KUBECTL: &str = r#"#!/bin/sh
set -eu
case "$*" in
"create namespace "*) ;;
"apply "*) shift; while [ $# -gt 0 ]; do [ "$1" = -f ]; { echo ---; cat "$2"; } >> "$APPLIED"; shift 2; done ;;
"--namespace shop get secret db -o json")
  echo '{"apiVersion":"v1","kind":"Secret","metadata":{"name":"db","namespace":"shop","uid":"1","managedFields":[]},"type":"Opaque","data":{"password":"bm90LWEtcmVhbC1wYXNzd29yZA=="}}' ;;
*) echo "unexpected: kubectl $*" >&2; exit 1 ;;
esac
"#;
/// A container of a Swarm that has a secret.
const DOCKER: &str = r#"#!/bin/sh
set -eu
case "$*" in
"ps --quiet --filter label=com.docker.swarm.service.name=shop_web") printf '0123456789ab\nba9876543210\n' ;;
"exec 0123456789ab cat /run/secrets/db") printf %s not-a-real-password ;;
*) echo "unexpected: docker $*" >&2; exit 1 ;;
esac
"#;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The commands of a section.
fn commands(page: &str, title: &str) -> String {
    let (_, rest) = page.split_once(&format!("\n## {title}\n")).expect(title);
    let section = rest.split("\n## ").next().unwrap();
    let blocks = section.split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap()).collect()
}

/// A directory with a pinned key, stand-ins on its PATH, and copies of a folder's files in `work`.
struct Place(tempfile::TempDir);

impl Place {
    fn new(folder: Option<&str>) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let (bin, work) = (place.path("bin"), place.path("work"));
        fs::create_dir(&bin).unwrap();
        fs::create_dir(&work).unwrap();
        symlink(env!("CARGO_BIN_EXE_supercargo"), bin.join("supercargo")).unwrap();
        for (name, text) in [("kubectl", KUBECTL), ("docker", DOCKER)] {
            fs::write(bin.join(name), text).unwrap();
            fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let from = folder.map(|folder| root().join("examples/migrate").join(folder));
        for entry in from.iter().flat_map(|from| fs::read_dir(from).unwrap()) {
            let entry = entry.unwrap();
            fs::copy(entry.path(), work.join(entry.file_name())).unwrap();
        }
        let made = place.run("supercargo keys init --keyring ../ring > .supercargo-keys");
        assert!(made.status.success(), "{}", text(&made.stderr));
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path("work").join(name), text).unwrap();
    }

    /// Runs lines of a shell in `work`.
    fn run(&self, lines: &str) -> Output {
        let lines = format!("PATH=$BIN:$PATH\n{lines}");
        Command::new("sh")
            .args(["-euc", &lines])
            .current_dir(self.path("work"))
            .env("BIN", self.path("bin"))
            .env("APPLIED", self.path("applied"))
            .env("KUBECONFIG", "/nonexistent")
            .env("API_KEY", "not-a-real-key")
            .output()
            .unwrap()
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn objects(stream: &str) -> Vec<Value> {
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    let documents = stream
        .split("---\n")
        .filter(|document| !document.trim().is_empty());
    documents
        .map(|document| serde_saphyr::from_str_with_options(document, options.clone()).unwrap())
        .collect()
}

/// Every `(name, key)` of a DockerSecret that is referenced; no key where every one is meant.
fn references(value: &Value, into: &mut BTreeSet<(String, Option<String>)>) {
    let text = |value: &Value, field: &str| value[field].as_str().map(str::to_owned);
    for (key, inner) in value.as_object().into_iter().flatten() {
        assert_ne!(inner["kind"], "Secret", "a core Secret is still meant");
        match key.as_str() {
            "secretKeyRef" => {
                into.insert((text(inner, "name").unwrap(), text(inner, "key")));
            }
            "secretRef" => {
                into.insert((text(inner, "name").unwrap(), None));
            }
            "secret" => {
                for item in inner["items"].as_array().into_iter().flatten() {
                    into.insert((text(inner, "name").unwrap(), text(item, "key")));
                }
            }
            _ => {}
        }
        references(inner, into);
    }
    for item in value.as_array().into_iter().flatten() {
        references(item, into);
    }
}

#[test]
fn every_migration_runs_as_written_and_leaves_valid_objects_and_no_value_in_clear() {
    let page = read("docs/migrate.md");
    for (title, folder) in SECTIONS {
        let place = Place::new(Some(folder));
        let lines = commands(&page, title);
        assert!(lines.contains("kubectl apply"), "{title} applies nothing");
        let ran = place.run(&lines);
        assert!(ran.status.success(), "{title}: {}", text(&ran.stderr));
        let applied = fs::read_to_string(place.path("applied")).unwrap();
        assert!(!applied.contains(VALUE), "{title} applies a value in clear");
        for stream in [&ran.stdout, &ran.stderr] {
            assert!(!text(stream).contains(VALUE), "{title} shows a value");
        }
        let (mut wanted, mut there) = (BTreeSet::new(), BTreeSet::new());
        let mut deployments = 0;
        for object in objects(&applied) {
            assert_eq!(object["metadata"]["namespace"], "shop", "{title}");
            let name = object["metadata"]["name"].as_str().unwrap();
            match object["kind"].as_str().unwrap() {
                "DockerDeployment" => {
                    deployments += 1;
                    if let Err(violations) = validate(&object, &Policy::default()) {
                        panic!("{title}, {name}: {violations:#?}");
                    }
                    references(&object["spec"], &mut wanted);
                }
                "DockerSecret" => {
                    there.insert((name.to_owned(), None));
                    let data = object["spec"]["encryptedData"].as_object().unwrap();
                    there.extend(data.keys().map(|key| (name.to_owned(), Some(key.clone()))));
                }
                kind => assert_eq!(kind, "ConfigMap", "{title}"),
            }
        }
        assert!(deployments > 0 && !wanted.is_empty(), "{title}");
        assert!(
            wanted.is_subset(&there),
            "{title}: {wanted:?} and there is {there:?}"
        );
    }
}

#[test]
fn every_section_with_commands_and_every_folder_is_run() {
    let page = read("docs/migrate.md");
    let titles = page
        .split("\n## ")
        .skip(1)
        .map(|section| section.lines().next().unwrap());
    let with_commands: Vec<&str> = titles
        .filter(|title| !commands(&page, title).is_empty())
        .collect();
    let known: Vec<&str> = SECTIONS.iter().map(|(title, _)| *title).collect();
    assert_eq!(with_commands, known);
    let folders = fs::read_dir(root().join("examples/migrate")).unwrap();
    let folders: BTreeSet<String> = folders
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        folders,
        SECTIONS.iter().map(|(_, folder)| (*folder).to_owned()).collect()
    );
}

#[test]
fn what_is_not_mapped_is_a_line_each_and_strict_makes_it_a_failure() {
    let place = Place::new(None);
    place.write(
        "docker-compose.yml",
        "services: {web: {image: nginx, build: ., hostname: w, restart: always}}\n",
    );
    place.write("docker-compose.override.yml", "services: {}\n");
    let ran = place.run("supercargo convert");
    assert!(ran.status.success());
    assert!(text(&ran.stderr).starts_with("docker-compose.override.yml: is not read: "));
    let lines: Vec<&str> = text(&ran.stderr).lines().collect();
    assert!(lines.contains(
        &"docker-compose.yml: services.web.build: images are not built here: build and push it, and name it under image"
    ), "{lines:#?}");
    assert!(
        lines.contains(&"0 DockerSecrets, 1 other objects; 2 keys are not mapped, 0 differ"),
        "{lines:#?}"
    );
    let strict = place.run("supercargo convert --strict");
    assert_eq!((strict.status.code(), strict.stdout), (Some(1), ran.stdout));
}

#[test]
fn wrong_input_writes_nothing_and_names_the_key() {
    let place = Place::new(None);
    for (file, named) in [
        (
            "services: {web: {image: UPPER}}",
            "compose.yaml: services.web.image: ",
        ),
        (
            "services: {web: {image: a, secrets: [s]}}\nsecrets: {s: {file: gone}}",
            "compose.yaml: secrets.s.file: gone cannot be read",
        ),
        ("services: [", "compose.yaml, line 1: not YAML"),
        ("a: 1", "compose.yaml, line 1: nothing that can be converted"),
        (
            "services: {web: {image: a, secrets: [s]}}\nsecrets: {s: {environment: API_KEY}}",
            "give --namespace",
        ),
    ] {
        place.write("compose.yaml", file);
        let ran = place.run("supercargo convert");
        assert!(
            matches!(ran.status.code(), Some(1 | 2)) && ran.stdout.is_empty(),
            "{file}"
        );
        let said = text(&ran.stderr);
        assert!(said.contains(named) && !said.contains(VALUE), "{file}: {said}");
    }
    let empty = Place::new(None).run("supercargo convert");
    assert_eq!(empty.status.code(), Some(2));
}

#[test]
fn json_is_one_list_and_values_of_variables_are_sealed() {
    let place = Place::new(None);
    place.write(
        "compose.yaml",
        "services: {web: {image: a, secrets: [key]}}\nsecrets: {key: {environment: API_KEY}}\n",
    );
    let ran = place.run("supercargo convert -n shop -o json | tee out.json; supercargo verify out.json >&2");
    let list: Value = serde_json::from_str(text(&ran.stdout)).unwrap();
    let kinds: Vec<&str> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["DockerSecret", "DockerDeployment"]);
    assert!(
        text(&ran.stderr).contains("1 values in 1 DockerSecrets, 0 findings"),
        "{}",
        text(&ran.stderr)
    );
    assert!(!text(&ran.stdout).contains(VALUE));
}

#[test]
fn core_secrets_of_the_stream_are_sealed_and_references_mean_them() {
    let place = Place::new(None);
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\nstringData: {password: not-a-real-password}\n";
    let web = read("examples/migrate/sealed-secrets/web.yaml");
    place.write("all.yaml", &format!("{secret}---\n{web}"));
    let ran = place.run("supercargo convert -f all.yaml --seal");
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    let made = objects(text(&ran.stdout));
    assert_eq!(made[0]["kind"], "DockerSecret");
    assert_eq!(
        made[1].pointer("/spec/template/spec/containers/0/env/0/valueFrom/secretKeyRef"),
        Some(&serde_json::json!({"name": "db", "key": "password"}))
    );
    let kept = place.run("supercargo convert -f all.yaml");
    for ran in [&ran, &kept] {
        assert!(!text(&ran.stdout).contains(VALUE) && !text(&ran.stderr).contains(VALUE));
    }
    assert!(text(&kept.stderr).contains("Secret db: is not repeated in clear"));
}

/// As pre-commit does it: the entry, split at blanks, with the staged files that match as its arguments.
#[test]
fn the_hook_refuses_a_commit_with_a_bad_secret_and_passes_a_good_one() {
    let place = Place::new(None);
    let hooks: Vec<Value> = serde_saphyr::from_str(&read(".pre-commit-hooks.yaml")).unwrap();
    let hook = hooks
        .iter()
        .find(|hook| hook["id"] == "supercargo-verify")
        .unwrap();
    assert_eq!(
        (hook["language"].as_str(), hook["pass_filenames"].as_bool()),
        (Some("system"), Some(true))
    );
    let entry = hook["entry"].as_str().unwrap();
    let good = place.run("printf x | supercargo seal --namespace shop --name db --key a > good.yaml");
    assert!(good.status.success());
    place.write(
        "bad.yaml",
        &fs::read_to_string(place.path("work/good.yaml"))
            .unwrap()
            .replace("name: db", "name: other"),
    );
    place.write("clear.yaml", "apiVersion: supercargo.dev/v1alpha1\nkind: DockerSecret\nmetadata: {name: a, namespace: b}\nspec: {stringData: {p: not-a-real-password}}\n");
    place.write("values.yaml", "image: {tag: 1}\n");
    assert_eq!(
        place.run(&format!("{entry} good.yaml values.yaml")).status.code(),
        Some(0)
    );
    for bad in ["bad.yaml", "clear.yaml"] {
        let ran = place.run(&format!("{entry} good.yaml {bad}"));
        assert_eq!(ran.status.code(), Some(1));
        assert!(text(&ran.stdout).contains(bad) && !text(&ran.stdout).contains(VALUE));
    }
}
