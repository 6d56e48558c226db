//! Faults at random moments of rollouts, scale changes, rotations and deletions, on an engine of its own: kill -9 of the
//! operator (in standalone form that is the API server and its store, too), of the engine, of containers and of the
//! agent, and a socket that goes away. After each burst: all that was acknowledged is there, the right end state, no
//! orphan, no duplicate. `SUPERCARGO_CHAOS_ROUNDS` says how many faults (10), `SUPERCARGO_CHAOS_SEED` which ones.

use std::{
    collections::BTreeMap,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::harness::{
    IMAGE, IMAGE_2,
    case::{Case, container, deployment, digest, from_secret},
    controller::tail,
    engine::{Engine, LiveRestore, Networks},
    number, same, until, word,
};

/// A container that was killed twice waits ten seconds, and an engine without live restore takes some to begin.
const CONVERGED: Duration = Duration::from_secs(180);

/// The same seed gives the same faults at the same moments (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }

    /// The moment is what varies: nothing is waited for.
    fn pause(&mut self, most: u64) {
        sleep(Duration::from_millis(self.below(most)));
    }
}

struct Chaos {
    case: Case,
    dice: Dice,
    manifest: Value,
    value: String,
    counts: BTreeMap<&'static str, usize>,
    /// A container has died that is not replaced: killed again it would wait ever longer.
    hurt: bool,
}

pub fn kills_and_outages() {
    let rounds = number("SUPERCARGO_CHAOS_ROUNDS", 10);
    let any = word()
        .bytes()
        .fold(0, |sum, b| (sum * 131 + usize::from(b)) % 1_000_000);
    let seed = number("SUPERCARGO_CHAOS_SEED", any);
    println!("chaos: {rounds} faults with SUPERCARGO_CHAOS_SEED={seed}");
    let case = Case::start_on(Engine::start(), "chaos");
    let value = case.value();
    case.secret("db", &[("password", &value)]);
    let manifest = deployment("web", 2, json!([from_secret("PASSWORD", "db", "password")]));
    case.apply_json(&manifest);
    case.ready("web");
    let mut chaos = Chaos {
        case,
        dice: Dice(seed as u64),
        manifest,
        value,
        counts: BTreeMap::new(),
        hurt: false,
    };
    let (begun, mut done, mut said) = (Instant::now(), 0, 0);
    while done < rounds {
        done += chaos.burst(rounds - done);
        if done >= said + 50 || done == rounds {
            said = done;
            println!(
                "chaos: {done} faults in {:.0} s, seed {seed}, {:?}, each burst with the right end state, 0 orphans, 0 duplicates",
                begun.elapsed().as_secs_f32(),
                chaos.counts
            );
        }
    }
    let forgotten = chaos.case.engine().end_forgotten();
    println!(
        "chaos: the engine itself has forgotten {forgotten} processes of containers in whose start it was killed; they were ended"
    );
    chaos.case.finish();
}

impl Chaos {
    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// A change and one to three faults while it is carried out; answers how many.
    fn burst(&mut self, most: usize) -> usize {
        let what = if self.hurt {
            "rollout"
        } else {
            self.dice.one(&["rollout", "scale", "rotation", "deletion"])
        };
        self.hurt = false;
        self.change(what);
        self.count(what);
        let acknowledged = self.spec();
        let faults = most.min(1 + usize::try_from(self.dice.below(3)).unwrap());
        for _ in 0..faults {
            self.dice.pause(900);
            self.strike();
        }
        if what == "deletion" {
            self.case
                .kubectl(&["wait", "ddep/web", "--for=delete", "--timeout=120s"]);
            self.converged(0);
            self.case.apply_json(&self.manifest);
        } else {
            assert_eq!(self.spec(), acknowledged, "an acknowledged write is lost");
        }
        let wanted = usize::try_from(self.manifest["spec"]["replicas"].as_u64().unwrap()).unwrap();
        self.case.ready("web");
        self.converged(wanted);
        faults
    }

    fn change(&mut self, what: &str) {
        match what {
            "rollout" => {
                let image = container(&mut self.manifest)["image"].clone();
                let other = if image == IMAGE { IMAGE_2 } else { IMAGE };
                container(&mut self.manifest)["image"] = json!(other);
                self.case.apply_json(&self.manifest);
            }
            "scale" => {
                let now = self.manifest["spec"]["replicas"].as_u64().unwrap();
                self.manifest["spec"]["replicas"] = json!((now + self.dice.below(3)) % 4 + 1);
                self.case.apply_json(&self.manifest);
            }
            "rotation" => {
                self.value = self.case.value();
                self.case.secret("db", &[("password", &self.value)]);
            }
            _ => {
                self.case.kubectl(&["delete", "ddep", "web", "--wait=false"]);
            }
        }
    }

    /// What the API has of the deployment and its secret.
    fn spec(&self) -> Value {
        let said = self.case.try_kubectl(
            &["get", "ddep/web", "dsec/db", "--ignore-not-found", "-o", "json"],
            "",
        );
        assert!(said.ok, "{}", said.err);
        let list: Value = serde_json::from_str(&said.out).unwrap_or_default();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items.into_iter().map(|mut o| o["spec"].take()).collect()
    }

    fn strike(&mut self) {
        let operator = "operator killed";
        let of = [
            operator,
            operator,
            operator,
            "container killed",
            "container removed",
            "agent killed",
            "socket away",
            "socket away",
            "engine killed",
        ];
        let what = self.dice.one(&of);
        match what {
            "operator killed" => self.restart_operator(),
            "container killed" => {
                self.hurt = true;
                self.hit("supercargo.dev/uid", &["kill"]);
            }
            "container removed" => self.hit("supercargo.dev/uid", &["rm", "-f"]),
            "agent killed" => {
                let how: &[&str] = self.dice.one(&[&["kill"][..], &["rm", "-f"]]);
                self.hit("supercargo.dev/agent", how);
            }
            "socket away" => {
                self.case.proxy.set_away(true);
                self.outage();
                self.case.proxy.set_away(false);
            }
            _ => {
                let live = self.dice.one(&[LiveRestore::On, LiveRestore::Off]);
                self.hurt |= live == LiveRestore::Off;
                self.case.engine().kill();
                self.outage();
                if self.dice.below(10) == 0 {
                    self.count("networks taken from the engine");
                    self.case.engine().lose_networks();
                }
                if self.case.engine().go(live) == Networks::Lost {
                    self.count("networks lost by the engine");
                }
            }
        }
        self.count(what);
    }

    /// For as long as it lasts; now and then the operator dies as well.
    fn outage(&mut self) {
        self.dice.pause(1500);
        if self.dice.below(4) == 0 {
            self.count("operator killed in an outage");
            self.restart_operator();
        }
    }

    fn restart_operator(&mut self) {
        self.case.take_operator().kill();
        self.dice.pause(300);
        self.case.start_operator();
    }

    /// Does this to one of the containers with a label, if there is any: it may go at this very moment.
    fn hit(&mut self, label: &str, how: &[&str]) {
        let ids = self.case.labelled("ps", &[label]);
        if !ids.is_empty() {
            let at = usize::try_from(self.dice.below(ids.len() as u64)).unwrap();
            self.case.docker(&[how, &[ids[at].as_str()]].concat());
        }
    }

    /// The engine is ours alone: whatever else it has is an orphan, and two of one replica are a duplicate.
    fn converged(&mut self, wanted: usize) {
        let begun = Instant::now();
        until("the right end state", CONVERGED, || {
            self.right(wanted).map_err(|why| {
                let last = begun.elapsed() > CONVERGED.saturating_sub(Duration::from_secs(5));
                let log = if last {
                    tail(&self.case.log())
                } else {
                    String::new()
                };
                format!("{why}\n{:?}\n{log}", self.counts)
            })
        });
        if begun.elapsed() > Duration::from_secs(5) {
            self.count("waited for a pause between restarts");
        }
    }

    fn right(&self, wanted: usize) -> Result<(), String> {
        let all = self.case.engine().ask("/containers/json?all=1")?;
        let all = all.as_array().ok_or("no list")?;
        let (agents, own): (Vec<&Value>, Vec<&Value>) = all
            .iter()
            .partition(|c| c["Labels"]["supercargo.dev/agent"].is_string());
        same(own.len(), wanted)?;
        let some = usize::from(wanted > 0);
        same(agents.len(), some)?;
        let mut replicas: Vec<&str> = own
            .iter()
            .filter_map(|c| c["Labels"]["supercargo.dev/replica"].as_str())
            .collect();
        replicas.sort_unstable();
        replicas.dedup();
        same(replicas.len(), wanted)?;
        for one in agents.iter().chain(&own) {
            same(&one["State"], &json!("running"))?;
        }
        let image = &self.manifest["spec"]["template"]["spec"]["containers"][0]["image"];
        for one in &own {
            same(&one["Image"], image)?;
            let seen = self
                .case
                .engine()
                .ask(&format!("/containers/{}/json", one["Id"].as_str().unwrap()))?;
            let env = seen["Config"]["Env"].as_array().ok_or("no environment")?;
            let password = env.iter().find_map(|v| v.as_str()?.strip_prefix("PASSWORD="));
            same(password.map(digest), Some(digest(&self.value)))?;
        }
        let networks = self.case.engine().ask("/networks")?;
        let networks = networks.as_array().ok_or("no networks")?;
        let ours = |n: &&Value| !["bridge", "host", "none"].contains(&n["Name"].as_str().unwrap());
        same(networks.iter().filter(ours).count(), some)?;
        let volumes = self.case.engine().ask("/volumes")?;
        same(volumes["Volumes"].as_array().map_or(0, Vec::len), 0)
    }
}
