//! The [Install] section of a unit: which links it asks for when it is enabled (systemd.unit(5), "[Install] Section Options").

use ostler_roles::words::UnitName;

/// What the section says, its additions included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Install {
    wanted_by: Vec<String>,
    required_by: Vec<String>,
    upheld_by: Vec<String>,
    alias: Vec<String>,
    also: Vec<String>,
    default_instance: Vec<String>,
}

impl Install {
    /// What these texts say together, in their order.
    pub(super) fn of(texts: impl IntoIterator<Item = String>) -> Self {
        let mut install = Self::default();
        texts.into_iter().for_each(|text| install.add(&text));
        install
    }

    fn add(&mut self, text: &str) {
        let mut inside = false;
        // A backslash at its end joins a line with the next (systemd.syntax(7)).
        for line in text.replace("\\\n", " ").lines().map(str::trim) {
            if line.starts_with('[') {
                inside = line == "[Install]";
            } else if let Some((key, value)) = line.split_once('=').filter(|_| inside && !line.starts_with(['#', ';'])) {
                let Some(list) = self.list(key.trim()) else { continue };
                // Nothing behind the `=` takes back what was said before.
                if value.trim().is_empty() {
                    list.clear();
                }
                list.extend(value.split_whitespace().map(|word| word.trim_matches('"').to_owned()));
            }
        }
    }

    fn list(&mut self, key: &str) -> Option<&mut Vec<String>> {
        Some(match key {
            "WantedBy" => &mut self.wanted_by,
            "RequiredBy" => &mut self.required_by,
            "UpheldBy" => &mut self.upheld_by,
            "Alias" => &mut self.alias,
            "Also" => &mut self.also,
            "DefaultInstance" => &mut self.default_instance,
            _ => return None,
        })
    }

    /// The links that enabling `name` makes, below `/etc/systemd/system`. One whose specifiers only systemd can fill in is given as it is
    /// written.
    pub(super) fn links(&self, name: &UnitName) -> Vec<String> {
        // A template is enabled by its default instance, or not at all.
        let Some(unit) = self.instance_of(name) else { return Vec::new() };
        let expanded = |text: &String| expand(text, &unit);
        let mut links: Vec<String> = Vec::new();
        for (list, suffix) in [(&self.wanted_by, "wants"), (&self.required_by, "requires"), (&self.upheld_by, "upholds")] {
            links.extend(list.iter().map(expanded).map(|by| format!("{by}.{suffix}/{unit}")));
        }
        links.extend(self.alias.iter().map(expanded).filter(|alias| alias != unit.as_str()));
        links.sort();
        links.dedup();
        links
    }

    /// The units that are enabled with it.
    pub(super) fn also(&self, name: &UnitName) -> Vec<UnitName> {
        self.also.iter().filter_map(|also| UnitName::parse(&expand(also, name)).ok()).filter(|also| also != name).collect()
    }

    /// Whether `unit`, once it is enabled, has this name too.
    pub(super) fn is_alias(&self, unit: &UnitName, name: &UnitName) -> bool {
        self.alias.iter().any(|alias| expand(alias, unit) == name.as_str())
    }

    fn instance_of(&self, name: &UnitName) -> Option<UnitName> {
        let Some((prefix, suffix)) = name.as_str().split_once("@.") else { return Some(name.clone()) };
        let instance = self.default_instance.last()?;
        UnitName::parse(&format!("{prefix}@{}.{suffix}", expand(instance, name))).ok()
    }
}

/// Fills in what a unit's own name tells (systemd.unit(5), "Specifiers").
fn expand(text: &str, unit: &UnitName) -> String {
    let whole = unit.as_str();
    let stem = whole.rsplit_once('.').map_or(whole, |(stem, _)| stem);
    let prefix = stem.split('@').next().unwrap_or(stem);
    let mut filled = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            filled.push(c);
            continue;
        }
        match rest.next() {
            Some('n') => filled.push_str(whole),
            Some('N') => filled.push_str(stem),
            Some('p') => filled.push_str(prefix),
            Some('i') => filled.push_str(unit.instance().unwrap_or_default()),
            Some('j') => filled.push_str(prefix.rsplit('-').next().unwrap_or(prefix)),
            Some('%') => filled.push('%'),
            Some(other) => filled.extend(['%', other]),
            None => filled.push('%'),
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(name: &str, texts: &[&str]) -> Vec<String> {
        let install = Install::of(texts.iter().map(|text| (*text).to_owned()));
        install.links(&UnitName::parse_service(name).unwrap())
    }

    #[test]
    fn an_install_section_asks_for_links_by_every_word_of_it() {
        let text = "[Unit]\nWantedBy=not-here.target\n[Install]\n# WantedBy=nor-here.target\nWantedBy = multi-user.target \\\n graphical.target\n\
                    RequiredBy=a.service\nUpheldBy=b.service\nAlias=sshd.service ssh.service\nAlso=x.socket\n[Service]\nWantedBy=no.target\n";
        let wanted = [
            "a.service.requires/ssh.service",
            "b.service.upholds/ssh.service",
            "graphical.target.wants/ssh.service",
            "multi-user.target.wants/ssh.service",
            "sshd.service",
        ];
        assert_eq!(links("ssh", &[text]), wanted);
        assert_eq!(links("ssh", &["[Install]\nAlso=x.socket\n"]), Vec::<String>::new());
    }

    #[test]
    fn additions_add_and_an_empty_value_takes_back() {
        let file = "[Install]\nWantedBy=multi-user.target\n";
        assert_eq!(
            links("a", &[file, "[Install]\nWantedBy=b.target\n"]),
            ["b.target.wants/a.service", "multi-user.target.wants/a.service"]
        );
        assert_eq!(links("a", &[file, "[Install]\nWantedBy=\nWantedBy=b.target\n"]), ["b.target.wants/a.service"]);
        assert_eq!(links("a", &[file, "WantedBy=no-section.target\n"]), ["multi-user.target.wants/a.service"]);
    }

    #[test]
    fn names_are_filled_in_and_templates_have_their_default() {
        let text = "[Install]\nWantedBy=sys-%i.device %p.target %N.target 100%%.target of-%H.target\n";
        let wanted = ["100%", "of-%H", "sub-net", "sub-net@e1"].map(|by| format!("{by}.target.wants/sub-net@e1.service"));
        let mut wanted = wanted.to_vec();
        wanted.push("sys-e1.device.wants/sub-net@e1.service".to_owned());
        assert_eq!(links("sub-net@e1", &[text]), wanted);
        assert_eq!(
            links("getty@", &["[Install]\nWantedBy=getty.target\nDefaultInstance=tty1\n"]),
            ["getty.target.wants/getty@tty1.service"]
        );
        assert_eq!(links("getty@", &["[Install]\nWantedBy=getty.target\n"]), Vec::<String>::new());
    }
}
