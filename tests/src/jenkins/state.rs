//! Everything the model remembers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::credentials::Credential;
use super::jobs::{Job, QueueItem};
use super::nodes::Node;
use super::users::User;
use super::version::Version;

/// A crumb and the session it was issued to.
#[derive(Debug, Clone)]
pub struct Crumb {
    /// Session cookie value.
    pub session: String,
    /// Its user.
    pub user: String,
    /// The crumb.
    pub value: String,
}

/// A language that Jenkins speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// German.
    German,
    /// Japanese, where who did a thing stands before what he did.
    Japanese,
}

/// A machine that SSH launches can reach.
#[derive(Debug, Clone)]
pub struct SshHost {
    /// Address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Its host key, `ALGORITHM BASE64`.
    pub host_key: String,
    /// Its Java.
    pub java: u32,
}

/// The whole controller.
#[derive(Debug)]
pub struct State {
    /// Which Jenkins it is.
    pub version: Version,
    /// `X-Jenkins-Session`: new after each restart.
    pub session: String,
    /// What follows `JSESSIONID.` in the cookie's name: new after each restart.
    pub cookie: String,
    /// The configured address, with `/` at the end.
    pub root_url: String,
    /// Accounts.
    pub users: Vec<User>,
    /// Crumbs issued since the last restart.
    pub crumbs: Vec<Crumb>,
    /// Nodes, orphans included.
    pub nodes: BTreeMap<String, Node>,
    /// The global domain of the system store, in order of creation.
    pub credentials: Vec<Credential>,
    /// Jobs by name.
    pub jobs: BTreeMap<String, Job>,
    /// Queue items, also those that left since the last restart.
    pub queue: Vec<QueueItem>,
    /// The id that was given to a queue item last.
    pub last_item: u64,
    /// How many restarts there were: a build belongs to the process that began it.
    pub restarts: u64,
    /// The next restart is a crash.
    pub will_crash: bool,
    /// `quietDown` was called.
    pub quieting: bool,
    /// What SSH launches find.
    pub hosts: Vec<SshHost>,
    /// Whether the plugin for SSH launches is installed.
    pub has_ssh_plugin: bool,
    /// How long every answer takes.
    pub delay: Duration,
    /// How long a launch takes; `None`: only [`State::settle_agents`] ends it.
    pub launch_delay: Option<Duration>,
    /// The default quiet period.
    pub quiet_period: Duration,
    /// Builds wait at their end while this is set.
    pub hold_builds: bool,
    /// Whether writes by password need a crumb.
    pub wants_crumbs: bool,
    /// The language of whoever asks for none.
    pub language: Language,
    /// It is everybody's, whatever is asked for (the locale plugin).
    pub forces_language: bool,
    /// Where builds run; each in a scratch directory of its own when none.
    pub build_directory: Option<std::path::PathBuf>,
    /// How long after `doDisconnect` the old channel is closed (`SlaveComputer.disconnect` hands it to a thread; recorded in `v568-36`).
    pub close_delay: Duration,
    /// Nodes that only an administrator may configure, as role-strategy has it for names outside of a pattern.
    pub beyond_roles: BTreeSet<String>,
    /// Addresses that hold this word answer 500, so many times.
    pub broken: Vec<(String, usize)>,
    /// A proxy in front takes Jenkins' own headers off.
    pub hides_headers: bool,
    /// So many requests to toggle a mark come right behind an operator's own.
    pub rivals: usize,
    /// Nodes that a cloud has made (`AbstractCloudSlave`; not recorded).
    pub clouds: BTreeSet<String>,
    /// Whether it is configured as code.
    pub is_code: bool,
    /// Logs of builds cannot be read any more: 500.
    pub has_lost_logs: bool,
    /// A directory put before `PATH` of builds.
    pub build_path: Option<std::path::PathBuf>,
    /// A program that runs the script on its input where the node really is; here, when empty.
    pub build_elsewhere: Vec<String>,
    /// The same for single nodes, by their names.
    pub build_on: std::collections::BTreeMap<String, Vec<String>>,
    numbers: u64,
}

impl State {
    /// An empty controller.
    pub fn new(version: Version, root_url: &str, users: Vec<User>) -> Self {
        Self {
            version,
            session: "f6278913".to_owned(),
            cookie: "65be458b".to_owned(),
            root_url: root_url.to_owned(),
            users,
            crumbs: Vec::new(),
            nodes: BTreeMap::new(),
            credentials: Vec::new(),
            jobs: BTreeMap::new(),
            queue: Vec::new(),
            last_item: 0,
            restarts: 0,
            will_crash: false,
            quieting: false,
            hosts: Vec::new(),
            has_ssh_plugin: true,
            delay: Duration::ZERO,
            launch_delay: Some(Duration::from_millis(20)),
            quiet_period: Duration::from_secs(5),
            hold_builds: false,
            wants_crumbs: true,
            language: Language::English,
            forces_language: false,
            build_directory: None,
            close_delay: Duration::ZERO,
            beyond_roles: BTreeSet::new(),
            broken: Vec::new(),
            hides_headers: false,
            rivals: 0,
            clouds: BTreeSet::new(),
            is_code: false,
            has_lost_logs: false,
            build_path: None,
            build_elsewhere: Vec::new(),
            build_on: std::collections::BTreeMap::new(),
            numbers: 0,
        }
    }

    /// The language of answers to who asks for English.
    pub fn words(&self) -> Language {
        if self.forces_language { self.language } else { Language::English }
    }

    /// A number never given before.
    pub fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// A `Set-Cookie` value of a fresh session.
    pub fn new_session(&mut self) -> String {
        let number = self.next_number();
        format!("JSESSIONID.{}=node0session{number}; Path=/; HttpOnly{}", self.cookie, self.version.cookie_end())
    }

    /// What a restart forgets: sessions, crumbs, connections, queue items that left, builds under way. Jobs, nodes, credentials and items
    /// that wait stay.
    ///
    /// Recorded are the new session and cookie (`restart-09`) and the agents' way back (`restart-10`, `restart-11`). There is no record of the
    /// queue and of builds under way; they follow the sources of the very release (tag `jenkins-2.532`):
    ///
    /// - `Queue.save` and `load` keep items that wait, with their ids, and `QueueIdStrategy` the counter; `leftItems` is in memory alone.
    /// - `Jenkins.cleanUp` interrupts every executor: `Run.execute` ends such a build as `ABORTED`, "Build was aborted". (When its agent is
    ///   gone before it notices, it may end as `FAILURE` instead, which is not played.)
    /// - A build is saved at its end only (`Run.execute`), and without `build.xml` it is not loaded (`RunMap.retrieve`): after a crash it is
    ///   404, and its number is not given again (`Job.assignBuildNumber`). The queue is saved a minute after a change (`Queue.Saver`): what
    ///   was asked for since is gone, and its ids are given again. A crash here is always within that minute.
    pub fn restart(&mut self) {
        let is_crash = std::mem::take(&mut self.will_crash);
        self.restarts += 1;
        if is_crash {
            self.queue.clear();
            self.last_item = 0;
        }
        self.queue.retain(|item| item.left.is_none());
        for job in self.jobs.values_mut() {
            job.cut_off(is_crash);
        }
        let number = self.next_number();
        self.session = format!("{:08x}", 0x3b52_4711_u64 + number);
        self.cookie = format!("{:08x}", 0x5b2a_d1c6_u64 + number);
        self.crumbs.clear();
        self.quieting = false;
        for node in self.nodes.values_mut() {
            node.closes = None;
            node.reconnect();
        }
    }

    /// Lets every launch under way end as it will.
    pub fn settle_agents(&mut self) {
        let (hosts, credentials) = (&self.hosts, &self.credentials);
        for node in self.nodes.values_mut() {
            node.settle(hosts, credentials, self.version.least_java());
        }
    }

    /// Lets launches end, and channels close, whose time is up.
    pub fn tick_agents(&mut self) {
        self.connect_due();
        let lost: Vec<String> = self.nodes.values_mut().filter_map(|node| node.close().then(|| node.name.clone())).collect();
        for name in lost {
            self.end_builds_on(&name);
        }
    }

    /// The agent's connection breaks, and with it what runs there.
    pub fn lose_agent(&mut self, name: &str) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.lose();
        }
        self.end_builds_on(name);
    }

    fn end_builds_on(&mut self, node: &str) {
        for job in self.jobs.values_mut() {
            job.lose(node);
        }
    }

    fn connect_due(&mut self) {
        let Some(delay) = self.launch_delay else { return };
        let (hosts, credentials) = (&self.hosts, &self.credentials);
        for node in self.nodes.values_mut().filter(|node| node.launching_for() >= delay) {
            node.settle(hosts, credentials, self.version.least_java());
        }
    }
}

/// Milliseconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}
