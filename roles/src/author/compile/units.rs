//! Units whose text is ours: what starts one at boot stands in its [Install] section, or in that of an addition beside it.

use super::context::Context;
use super::drafts::Draft;
use crate::author::diagnostic::Fault;
use crate::resource::{Desired, service};
use crate::words::{Content, UNIT_DIRECTORIES};

/// What an [Install] section may ask for (systemd.unit(5)).
const ASKS: [&str; 5] = ["WantedBy", "RequiredBy", "UpheldBy", "Alias", "Also"];

/// Judges the units of a node that shall start at boot.
pub(super) fn judge(drafts: &[Draft<'_>], closed: &[Option<Desired>], context: &Context<'_>) {
    for (draft, desired) in drafts.iter().zip(closed) {
        let Some(Desired::Service(unit)) = desired else { continue };
        if unit.enabled != Some(true) || text(unit, context).is_none_or(|text| asks(&text)) || is_added_to(unit, closed) {
            continue;
        }
        let message =
            format!("{} is static: its text has no [Install] section that asks for anything, so that nothing starts it at boot", unit.name);
        let fault = Fault::new(draft.values.span("enabled"), message).also(draft.values.span("unit"), "its text");
        context.fault(fault.hint("give its text an [Install] section (`WantedBy=multi-user.target`), or leave `enabled` out"));
    }
}

/// The text of a unit's file; none where it is not ours.
fn text(unit: &service::Desired, context: &Context<'_>) -> Option<String> {
    let Some(Content::Blob(blob)) = &unit.unit else { return None };
    let stores = context.stores.borrow();
    if let Some(bytes) = stores.blobs.get(&blob.digest) {
        return Some(String::from_utf8_lossy(bytes).into_owned());
    }
    let (tree, path) = stores.files.get(&blob.digest)?;
    context.input.content.get(*tree, path)?.text.as_ref().ok().map(|text| text.to_string())
}

/// Whether the [Install] section of a unit's text asks for anything.
fn asks(text: &str) -> bool {
    let mut inside = false;
    text.lines().map(str::trim).any(|line| {
        if line.starts_with('[') {
            inside = line == "[Install]";
        }
        inside && line.split_once('=').is_some_and(|(key, value)| ASKS.contains(&key.trim()) && !value.trim().is_empty())
    })
}

/// Whether another resource adds a file to it: what that says is not looked at.
fn is_added_to(unit: &service::Desired, closed: &[Option<Desired>]) -> bool {
    let suffix = unit.name.as_str().rsplit('.').next().unwrap_or_default();
    // Additions to the unit, to its template, to all of its kind, to all whose names begin so (systemd.unit(5)).
    let own = |name: &str| name == unit.name.as_str() || Some(name) == unit.name.template().as_deref();
    let adds = |directory: &str| {
        directory.strip_suffix(".d").is_some_and(|name| own(name) || name == suffix || name.ends_with(&format!("-.{suffix}")))
    };
    closed.iter().flatten().filter_map(Desired::path).any(|path| {
        let above = path.parent();
        let directory = above.as_ref().and_then(|above| above.as_str().rsplit_once('/'));
        directory.is_some_and(|(parent, name)| UNIT_DIRECTORIES.contains(&parent) && adds(name))
    })
}

#[cfg(test)]
mod tests {
    use super::asks;

    #[test]
    fn a_text_asks_for_a_start_at_boot_in_its_install_section_only() {
        for text in [
            "[Install]\nWantedBy=multi-user.target\n",
            "[Service]\n[Install]\n# x\n Also = web.socket",
            "[Install]\nWantedBy=a.target \\\n b.target\n",
        ] {
            assert!(asks(text), "{text}");
        }
        for text in [
            "[Service]\nExecStart=/bin/true\n",
            "[Unit]\nWantedBy=a.target\n[Install]\n",
            "[Install]\nWantedBy=\n",
            "[Install]\n#WantedBy=a.target\n",
            "[Install]\nDefaultInstance=1\n",
        ] {
            assert!(!asks(text), "{text}");
        }
    }
}
