//! Units of systemd by their names: where their files stand (systemd.unit(5), "Unit File Load Path").

use super::{AbsPath, UnitName};

/// Where files of units stand, the first before the others: the administrator's, those until the next boot, what generators make of other
/// files, what is installed.
pub const UNIT_DIRECTORIES: [&str; 6] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// What the generators of systemd make units of: systemd-fstab-generator(8).
const FSTAB: &str = "/etc/fstab";
/// And systemd-sysv-generator(8).
const INIT_SCRIPTS: &str = "/etc/init.d";

impl UnitName {
    /// The template that it is an instance of: `getty@.service` for `getty@tty1.service`.
    pub fn template(&self) -> Option<String> {
        let (stem, suffix) = self.as_str().rsplit_once('.')?;
        let (prefix, instance) = stem.split_once('@')?;
        (!instance.is_empty()).then(|| format!("{prefix}@.{suffix}"))
    }

    /// The text between `@` and suffix, where there is one.
    pub fn instance(&self) -> Option<&str> {
        let (stem, _) = self.as_str().rsplit_once('.')?;
        stem.split_once('@').map(|(_, instance)| instance).filter(|instance| !instance.is_empty())
    }

    /// Whether it is a template itself: `getty@.service`.
    pub fn is_template(&self) -> bool {
        self.as_str().contains("@.")
    }

    /// Where its file may stand, its template's among them.
    pub fn files(&self) -> Vec<AbsPath> {
        self.places("")
    }

    /// The same in the order in which they are looked for: those of its own name before those of its template.
    pub fn files_by_name(&self) -> Vec<AbsPath> {
        let mut files = self.files();
        files.sort_by_key(|path| !path.as_str().ends_with(&format!("/{self}")));
        files
    }

    /// Whether a file at this path may make it a unit, or one that starts at boot.
    pub fn is_made_by(&self, path: &AbsPath) -> bool {
        let mut places = self.files();
        places.extend(self.places(".d"));
        let name = self.as_str();
        if let Some(script) = name.strip_suffix(".service") {
            places.extend(AbsPath::parse(&format!("{INIT_SCRIPTS}/{script}")));
        }
        if [".mount", ".automount", ".swap"].iter().any(|suffix| name.ends_with(suffix)) {
            places.extend(AbsPath::parse(FSTAB));
        }
        places.iter().any(|place| path.is_within(place) || place.is_within(path))
    }

    fn places(&self, behind: &str) -> Vec<AbsPath> {
        let names: Vec<String> = std::iter::once(self.as_str().to_owned()).chain(self.template()).collect();
        let places = UNIT_DIRECTORIES.iter().flat_map(|directory| names.iter().map(move |name| format!("{directory}/{name}{behind}")));
        places.filter_map(|path| AbsPath::parse(&path).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str) -> UnitName {
        UnitName::parse_service(name).unwrap()
    }

    #[test]
    fn an_instance_has_a_template_and_both_have_files() {
        assert_eq!(unit("getty@tty1").template().as_deref(), Some("getty@.service"));
        assert_eq!(unit("a@b.c.socket").template().as_deref(), Some("a@.socket"));
        assert_eq!((unit("getty@").template(), unit("ssh").template()), (None, None));
        let files = unit("getty@tty1").files();
        assert_eq!(files.len(), 2 * UNIT_DIRECTORIES.len());
        assert_eq!(files[1].as_str(), "/etc/systemd/system/getty@.service");
        let by_name = unit("getty@tty1").files_by_name();
        assert_eq!(by_name[1].as_str(), "/run/systemd/system/getty@tty1.service", "a file of its own anywhere stands before a template");
        assert_eq!(by_name[6].as_str(), "/etc/systemd/system/getty@.service");
        assert_eq!((unit("getty@tty1").instance(), unit("getty@").instance(), unit("ssh").instance()), (Some("tty1"), None, None));
        assert!(unit("getty@").is_template() && !unit("getty@tty1").is_template());
    }

    #[test]
    fn files_of_a_unit_its_template_its_additions_and_what_generators_read_make_it() {
        let made = |name: &str, path: &str| unit(name).is_made_by(&AbsPath::parse(path).unwrap());
        for path in [
            "/etc/systemd/system/foo@.service",
            "/etc/systemd/system/foo@1.service",
            "/usr/local/lib/systemd/system/foo@.service.d/install.conf",
            "/etc/systemd/system",
            "/etc/init.d/foo@1",
        ] {
            assert!(made("foo@1", path), "{path}");
        }
        for path in ["/etc/systemd/system/foo@2.service", "/etc/systemd/system/bar.service", "/etc/systemd/system.conf", "/etc/fstab"] {
            assert!(!made("foo@1", path), "{path}");
        }
        assert!(made("srv.mount", "/etc/fstab"));
    }
}
