//! The proofs behind the steps: each asked once, and again only for a port of this node that the run itself may just be opening.

use super::Runner;
use ostler_roles::catalog::{Requirement, Step};
use ostler_roles::check::{Check, Demands, Verdict};
use ostler_roles::facts::Facts;
use ostler_roles::outcome::Event;
use ostler_roles::resource::Effect;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long behind the last step, for all proofs together, a refused port may take to open: systemd calls a service of `Type=simple` or a
/// reload done before the program listens (systemd.service(5)). What takes longer needs a `check` of its service.
const OPENS_WITHIN: Duration = Duration::from_secs(3);
/// The pause before it is asked for again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Whether a step's change may open a port a moment later: it starts or reloads programs.
pub(super) fn may_open_ports(step: &Step) -> bool {
    step.desired.alters().iter().any(|effect| matches!(effect, Effect::Unit(_) | Effect::Packaged | Effect::Everything))
}

impl Runner<'_> {
    /// Asks every proof, in order. True when all hold.
    pub(super) fn prove(&self, may_open: bool) -> bool {
        let connects = self.catalog.verify.iter().any(|proof| matches!(proof.check, Check::Connect(_)));
        // Read before the clock starts; without them no port is known for this node's.
        let own = if may_open && connects { self.facilities.facts().ok() } else { None };
        let end = Instant::now() + OPENS_WITHIN;
        let mut good = true;
        for (index, proof) in (0u32..).zip(&self.catalog.verify) {
            let (number, within) = (self.number_of_proof(index), proof.within.duration());
            let verdict = self.steps.at_work(number, within, self.look_within(within), || self.verdict(proof, own.as_ref(), end));
            good &= verdict.passed();
            if self.steps.is_done(number) {
                self.tell_verdict(index, verdict);
            }
        }
        good
    }

    /// Its number among all that is watched: behind the steps.
    pub(super) fn number_of_proof(&self, index: u32) -> u32 {
        u32::try_from(self.catalog.steps.len()).unwrap_or(u32::MAX).saturating_add(index)
    }

    pub(super) fn tell_verdict(&self, index: u32, verdict: Verdict) {
        let Some(proof) = self.catalog.verify.get(index as usize) else { return };
        self.writer.write(Event::Verified { index, name: proof.check.to_string(), verdict });
    }

    /// One proof's verdict; how long was waited for it is told. `own`: the node whose ports may be opening.
    fn verdict(&self, proof: &Requirement, own: Option<&Facts>, end: Instant) -> Verdict {
        let began = Instant::now();
        let mut verdict = self.provider.check(&proof.check, proof.within, &Demands::default());
        let Check::Connect(connect) = &proof.check else { return verdict };
        let end = end.min(began + proof.within.duration());
        if !is_refused(&verdict) || !own.is_some_and(|facts| is_own(&connect.host, facts)) {
            return verdict;
        }
        let place = format!("{}:{}", connect.host, connect.port);
        loop {
            std::thread::sleep(LOOK_AGAIN.min(end.saturating_duration_since(Instant::now())));
            if Instant::now() >= end {
                break;
            }
            // With the time of the first: one that is cut short would tell of a silence of our own making.
            verdict = self.provider.check(&proof.check, proof.within, &Demands::default());
            if !is_refused(&verdict) {
                break;
            }
        }
        let waited = format!("waited {:.1} s for {place}", began.elapsed().as_secs_f64());
        match &mut verdict {
            Verdict::Fail { found, .. } => *found = format!("{found}; {waited}"),
            Verdict::Pass { .. } | Verdict::CouldNotTell { .. } => self.writer.write(Event::Note { index: None, text: waited }),
        }
        verdict
    }
}

fn is_refused(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Fail { .. })
}

/// Whether a host's name or address means this very node, as far as its words and the facts tell.
fn is_own(host: &str, facts: &Facts) -> bool {
    if let Ok(address) = host.parse::<IpAddr>() {
        return address.is_loopback() || facts.addresses.iter().any(|own| own.parse() == Ok(address));
    }
    let first = |name: &str| name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    host == "localhost" || (!host.is_empty() && first(host) == first(&facts.hostname))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_roles::facts::{Kernel, System};
    use ostler_roles::words::{Bytes, Version};

    #[test]
    fn a_node_knows_its_own_names_and_addresses() {
        let system = System { id: String::new(), version: String::new(), codename: String::new(), family: String::new() };
        let facts = Facts {
            hostname: "build-1".to_owned(),
            system,
            arch: String::new(),
            kernel: Kernel { release: Version(String::new()), shared: false },
            virtualization: String::new(),
            cpus: 1,
            memory: Bytes(0),
            addresses: vec!["192.0.2.7".to_owned(), "2001:db8::7".to_owned()],
            host_keys: Vec::new(),
            package_manager: String::new(),
            init: String::new(),
        };
        for own in ["127.0.0.1", "::1", "localhost", "build-1", "build-1.example.org", "192.0.2.7", "2001:db8:0::7"] {
            assert!(is_own(own, &facts), "{own}");
        }
        for other in ["192.0.2.70", "build-10", "master", "master.example.org", ""] {
            assert!(!is_own(other, &facts), "{other}");
        }
    }
}
