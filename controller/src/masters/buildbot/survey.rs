//! What a master shows of all its workers, folded from three listings.

use super::rest::{Builders, Loaded, RestBuilder, Workers, clean};
use ostler_roles::master::Site;
use ostler_roles::master::buildbot::{Hold, Observed, Refusal, SMOKE, WorkerName};
use ostler_roles::words::Label;
use std::collections::{BTreeMap, BTreeSet};

/// Everything about all workers of a master at one moment.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    observed: BTreeMap<String, Observed>,
    numbers: BTreeMap<String, u64>,
    asked_for: BTreeSet<Label>,
    forces_once: bool,
    knows_sites: bool,
}

impl Survey {
    /// What is seen of one worker; an unknown one is seen as nothing.
    pub fn of(&self, worker: &WorkerName) -> Observed {
        let unknown = || Observed { asked_for: self.asked_for.clone(), ..Observed::default() };
        self.observed.get(worker.as_str()).cloned().unwrap_or_else(unknown)
    }

    /// The workers whose files it has loaded, and that are of this site. Of a file of before 0.2 nobody knows.
    pub fn loaded<'a>(&'a self, site: Option<&'a Site>) -> impl Iterator<Item = &'a str> {
        let is_ours = move |observed: &Observed| observed.site.as_deref() == site.map(Site::as_str);
        self.observed.iter().filter(move |(_, observed)| observed.loaded.is_some() && is_ours(observed)).map(|(name, _)| name.as_str())
    }

    /// Whether the master runs one smoke job for one request, however often it is told: not with the role of before 0.2.
    pub fn forces_once(&self) -> bool {
        self.forces_once
    }

    /// Whether the master takes a file that says its site: not with the role of before 0.2.
    pub fn knows_sites(&self) -> bool {
        self.knows_sites
    }

    /// Buildbot's number of a worker.
    pub fn number(&self, worker: &WorkerName) -> Option<u64> {
        self.numbers.get(worker.as_str()).copied()
    }
}

/// Joins what was loaded, the workers and the builders.
pub(super) fn fold(loaded: Loaded, workers: Workers, builders: Builders) -> Survey {
    let living = |builder: &&RestBuilder| !builder.masterids.is_empty();
    let smoke = builders.builders.iter().filter(living).find(|builder| builder.name == SMOKE).map(|builder| builder.builderid);
    let labels: BTreeMap<u64, Vec<Label>> = builders
        .builders
        .iter()
        .filter(living)
        .map(|builder| (builder.builderid, builder.tags.iter().filter_map(|tag| Label::parse(tag).ok()).collect()))
        .collect();
    let asked_for: BTreeSet<Label> = labels.values().flatten().cloned().collect();
    let (forces_once, knows_sites) = (loaded.forces_once, loaded.sites.is_some());
    let mut survey = Survey { asked_for: asked_for.clone(), forces_once, knows_sites, ..Survey::default() };
    let site = |name: &str| loaded.sites.as_ref().and_then(|sites| sites.get(name)).map(|site| clean(site));
    for worker in workers.workers {
        let hold = if worker.paused {
            Some(Hold::Paused(worker.pause_reason))
        } else if worker.graceful {
            Some(Hold::Graceful)
        } else {
            None
        };
        let on: BTreeSet<u64> = worker.configured_on.iter().map(|pair| pair.builderid).collect();
        let observed = Observed {
            loaded: loaded.workers.get(&worker.name).copied(),
            site: site(&worker.name),
            refused: None,
            connected: !worker.connected_to.is_empty(),
            hold,
            smokes: smoke.is_some_and(|smoke| on.contains(&smoke)),
            attached: on.iter().filter_map(|builder| labels.get(builder)).flatten().cloned().collect(),
            asked_for: asked_for.clone(),
        };
        survey.numbers.insert(worker.name.clone(), worker.workerid);
        survey.observed.insert(worker.name, observed);
    }
    for (name, refusal) in loaded.refused {
        let unknown = || Observed { asked_for: asked_for.clone(), ..Observed::default() };
        let site = site(&name);
        let observed = survey.observed.entry(name).or_insert_with(unknown);
        observed.refused = Some(Refusal { digest: refusal.digest, why: clean(&refusal.why) });
        observed.site = site;
    }
    survey
}
