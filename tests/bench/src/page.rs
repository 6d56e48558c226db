//! The page: what was measured on, both tables, how it is measured, and where we are behind. Owns the words around the
//! tables; what is measured and why a row may be missed is elsewhere.

use std::{fmt::Write as _, fs};

use crate::{plane_report, table};

/// What was measured on.
pub struct Machine {
    pub text: String,
    load_before: String,
}

fn first(path: &str, field: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let found = text.lines().find_map(|line| {
        line.strip_prefix(field)?
            .split_once(':')
            .map(|(_, rest)| rest.trim())
    });
    found.unwrap_or("unknown").to_owned()
}

fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

impl Machine {
    /// As it is now.
    pub fn look() -> Self {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let memory = first("/proc/meminfo", "MemTotal");
        let kib: u64 = memory
            .split(' ')
            .next()
            .and_then(|kib| kib.parse().ok())
            .unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            text: format!(
                "{} x {}, {} GiB of memory, Linux {}",
                cores,
                first("/proc/cpuinfo", "model name"),
                kib >> 20,
                kernel.split('-').next().unwrap_or_default().trim(),
            ),
            load_before: load(),
        }
    }
}

/// What a run brought.
pub struct Run {
    pub machine: Machine,
    pub engine: String,
    pub plane: Vec<plane_report::Row>,
    pub plane_peer: String,
    pub deployments: Vec<table::Row>,
    /// Why the rest of them was not measured.
    pub unmeasured: Option<String>,
    /// What each peer is, or why it is not here.
    pub peers: [String; 3],
}

impl Run {
    /// The whole file.
    pub fn page(&self) -> String {
        let date = jiff::Timestamp::now().strftime("%Y-%m-%d");
        let [compose, swarm, ring] = &self.peers;
        let mut text = format!(
            "# Benchmarks\n\nWritten by `make bench`; not edited by hand. Everything was measured in one run, on the same \
             machine, by the same client, which ran beside what it measured on the same processors.\n\n\
             - Date: {date}\n- Machine: {}\n- Load of the machine (1 min) before the run: {}, after it: {}\n\
             - Engine: {}\n- Compose: {compose}\n- Swarm: {swarm}\n- Ring: {ring}\n",
            self.machine.text,
            self.machine.load_before,
            load(),
            self.engine,
        );
        if !self.deployments.is_empty() {
            _ = write!(
                text,
                "\n## Deployments on Docker\n\n{}{NOTES}",
                table::table(&self.deployments)
            );
        }
        if let Some(why) = &self.unmeasured {
            _ = write!(text, "\nThe other parts were not measured in this run: {why}\n");
        }
        if !self.plane.is_empty() {
            _ = write!(
                text,
                "\n## The API server beside a real one\n\n{}{}",
                plane_report::table(&self.plane, &self.plane_peer),
                plane_report::NOTES
            );
        }
        _ = write!(text, "\n## Where we are behind, and why\n\n{}", self.behind());
        text
    }

    fn behind(&self) -> String {
        let deployments = self.deployments.iter().filter_map(table::Row::excuse);
        let plane = self.plane.iter().filter_map(plane_report::Row::excuse);
        let lines: Vec<String> = deployments.chain(plane).collect();
        if lines.is_empty() {
            return "Nowhere in this run: every row that has a target reached it.\n".to_owned();
        }
        lines.join("\n") + "\n"
    }
}

const NOTES: &str = "
How it is measured: the *floor* is the Engine API itself, asked by this program for create and start of the same image with
the same command on a user network, before and after each of ours in the same round. A time ends with `timeNano` of the
engine's event `start` (of the last container, where there are several). *apply* begins when the API request is sent, with
the secret there; the row from `kubectl` begins before the process, with an empty discovery cache and the secret in the same
file, and the peers' begin before theirs. The operator reaches the engine through a counting socket of this program, which
costs it a copy of each call. The namespace has a deployment already, hence its network and agent; the first one is a row of
its own. A *kill* is `docker kill`, and its time begins before that call. *Idle* is two and a half
minutes with nothing asked, from the first full list after the fifty starts; once an hour each container is inspected once
more, which is not in it. The floor of the *rollout* is waves as large as the surge: made four at a time, asked over HTTP until
they answer, then as many old ones stopped and removed four at a time, until the last old one has ended. The thousand *probes*
are asked by the agent, under the orders of this program, of a thousand addresses on loopback. A change among *300 containers*
is one more replica; the time ends when the first call that acts reaches the counting socket.
A secret *as a file* is a deployment that mounts it, beside the same deployment that has it as a variable, one after the other
in each round, on an operator of its own for each way of delivery. *A new value* begins when the sealed secret is sent; it is seen
when this program reads it through the container's own mount (`/proc/PID/root`), as the readers do, half of whose reads are of
both files of one set. *Sealed values* are opened by the program's own code, built into this one as it is into the program; RSA is
what `openssl speed` says of one private operation, without the padding and the AES that a hybrid needs besides.
*Engine time* in it is that in which at least one read was under way there.
Compose gets its secret from a file and joins the floor's network; Swarm is one manager on an engine of its own, whose
services are on that engine's bridge; a peer's `never` is what its manual says. Ring runs with its defaults, which look every
ten seconds, and is asked over its HTTP API; its *idle* is what a socket of its own counted.
";
