//! The answers of `/api/v2` (buildbot 4.3) as they come, only what is read of them.

use ostler_roles::words::Digest;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Deserialize)]
pub(super) struct Workers {
    pub(super) workers: Vec<RestWorker>,
}

#[derive(Deserialize)]
pub(super) struct RestWorker {
    pub(super) workerid: u64,
    pub(super) name: String,
    pub(super) connected_to: Vec<Value>,
    pub(super) configured_on: Vec<RestPair>,
    pub(super) paused: bool,
    #[serde(default)]
    pub(super) pause_reason: Option<String>,
    pub(super) graceful: bool,
}

#[derive(Deserialize)]
pub(super) struct RestPair {
    pub(super) builderid: u64,
}

#[derive(Deserialize)]
pub(super) struct Builders {
    pub(super) builders: Vec<RestBuilder>,
}

#[derive(Deserialize)]
pub(super) struct RestBuilder {
    pub(super) builderid: u64,
    pub(super) name: String,
    pub(super) tags: Vec<String>,
    pub(super) masterids: Vec<u64>,
}

#[derive(Deserialize)]
pub(super) struct Loaded {
    pub(super) workers: BTreeMap<String, Digest>,
    /// The sites that wrote the files, also those that it refused; none of a file of before 0.2. A master of before 0.2 has none at all.
    #[serde(default)]
    pub(super) sites: Option<BTreeMap<String, String>>,
    pub(super) refused: BTreeMap<String, RestRefusal>,
    /// Whether it knows a smoke job again that it is told to force a second time.
    #[serde(skip)]
    pub(super) forces_once: bool,
}

#[derive(Deserialize)]
pub(super) struct RestRefusal {
    pub(super) digest: Option<Digest>,
    pub(super) why: String,
}

#[derive(Deserialize)]
pub(super) struct Buildsets {
    pub(super) buildsets: Vec<RestBuildset>,
}

#[derive(Deserialize)]
pub(super) struct RestBuildset {
    pub(super) bsid: u64,
}

#[derive(Deserialize)]
pub(super) struct Requests {
    pub(super) buildrequests: Vec<RestRequest>,
}

#[derive(Deserialize)]
pub(super) struct RestRequest {
    pub(super) buildrequestid: u64,
    pub(super) complete: bool,
    pub(super) results: Option<i64>,
}

#[derive(Deserialize)]
pub(super) struct Builds {
    pub(super) builds: Vec<RestBuild>,
}

#[derive(Deserialize)]
pub(super) struct RestBuild {
    pub(super) buildid: u64,
    pub(super) builderid: u64,
    pub(super) number: u64,
    pub(super) workerid: u64,
}

#[derive(Deserialize)]
pub(super) struct Steps {
    pub(super) steps: Vec<RestStep>,
}

#[derive(Deserialize)]
pub(super) struct RestStep {
    pub(super) stepid: u64,
    pub(super) results: Option<i64>,
    pub(super) state_string: String,
}

#[derive(Deserialize)]
pub(super) struct Logs {
    pub(super) logs: Vec<RestLog>,
}

#[derive(Deserialize)]
pub(super) struct RestLog {
    pub(super) logid: u64,
    pub(super) name: String,
    pub(super) num_lines: u64,
}

#[derive(Deserialize)]
pub(super) struct Chunks {
    pub(super) logchunks: Vec<RestChunk>,
}

#[derive(Deserialize)]
pub(super) struct RestChunk {
    pub(super) content: String,
}

/// Characters of one line of others that are kept.
const LINE: usize = 300;

/// What a node or a master wrote, made fit for a terminal.
pub(super) fn clean(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).take(LINE).collect()
}
