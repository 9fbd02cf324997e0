//! Files that several directories hold together: sysctl.d(5), modules-load.d(5), modprobe.d(5). They are read in the order of their names,
//! wherever they stand; of two with one name the one in the earlier directory counts, and a link to /dev/null hides the others.

use crate::host::{EntryKind, Host, OsError};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Above such a directory, the first before the others.
pub(in super::super) const ABOVE: [&str; 5] = ["/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib"];
/// What packages bring has some kilobytes.
const CAP: u64 = 1 << 20;

/// One of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct ConfigFile {
    /// Where it stands.
    pub(in super::super) path: PathBuf,
    /// What it says.
    pub(in super::super) text: String,
}

impl ConfigFile {
    /// Its lines with their places (`/etc/sysctl.d/x.conf:3`), without comments and empty ones. A backslash at its end joins a line with
    /// the next only where `joined` says so.
    pub(in super::super) fn lines(&self, joined: bool) -> Vec<(String, String)> {
        let mut lines = Vec::new();
        let mut held: Option<(usize, String)> = None;
        for (number, line) in (1..).zip(self.text.lines()) {
            let (first, mut whole) = held.take().unwrap_or((number, String::new()));
            match line.strip_suffix('\\').filter(|_| joined) {
                Some(part) => {
                    whole.push_str(part);
                    held = Some((first, whole));
                }
                None => {
                    whole.push_str(line);
                    lines.push((first, whole));
                }
            }
        }
        lines.extend(held);
        let told = lines.into_iter().map(|(number, line)| (format!("{}:{number}", self.path.display()), line.trim().to_owned()));
        told.filter(|(_, line)| !line.is_empty() && !line.starts_with(['#', ';'])).collect()
    }
}

/// The files of the directories of this name, `sysctl.d`, in the order in which they are read.
pub(in super::super) fn read(host: &Host, directory: &str) -> Result<Vec<ConfigFile>, OsError> {
    let mut found: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for above in ABOVE {
        let directory = Path::new(above).join(directory);
        for name in host.list(&directory)?.unwrap_or_default() {
            let text = name.to_string_lossy();
            if text.ends_with(".conf") && !text.starts_with('.') {
                found.entry(name.clone()).or_insert_with(|| directory.join(name));
            }
        }
    }
    let mut files = Vec::new();
    for path in found.into_values() {
        if host.look_through(&path)?.is_some_and(|entry| entry.kind == EntryKind::File) {
            let bytes = host.read_through(&path, CAP)?.unwrap_or_default();
            files.push(ConfigFile { text: String::from_utf8_lossy(&bytes).into_owned(), path });
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn files_are_read_by_name_and_the_earlier_directory_counts() {
        let tree = tempfile::tempdir().unwrap();
        let at = |path: &str| {
            let path = tree.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        std::fs::write(at("etc/sysctl.conf"), "c").unwrap();
        symlink("../sysctl.conf", at("etc/sysctl.d/99-sysctl.conf")).unwrap();
        std::fs::write(at("usr/lib/sysctl.d/50-default.conf"), "a").unwrap();
        std::fs::write(at("run/sysctl.d/60-b.conf"), "b").unwrap();
        std::fs::write(at("usr/lib/sysctl.d/60-b.conf"), "hidden").unwrap();
        std::fs::write(at("usr/lib/sysctl.d/70-off.conf"), "off").unwrap();
        symlink("/dev/null", at("etc/sysctl.d/70-off.conf")).unwrap();
        symlink("nowhere", at("etc/sysctl.d/80-gone.conf")).unwrap();
        std::fs::write(at("etc/sysctl.d/readme"), "no").unwrap();
        let files = read(&Host::at(tree.path()).unwrap(), "sysctl.d").unwrap();
        let told: Vec<(String, &str)> = files.iter().map(|file| (file.path.display().to_string(), file.text.as_str())).collect();
        let wanted = [("/usr/lib/sysctl.d/50-default.conf", "a"), ("/run/sysctl.d/60-b.conf", "b"), ("/etc/sysctl.d/99-sysctl.conf", "c")];
        assert_eq!(told, wanted.map(|(path, text)| (path.to_owned(), text)));
    }

    #[test]
    fn lines_have_their_numbers_and_comments_are_none() {
        let file = ConfigFile { path: "/x".into(), text: "# c\n\n a = 1 \ninstall a \\\n true\n; d\nb\\".to_owned() };
        let told = |joined| file.lines(joined).into_iter().map(|(place, line)| format!("{place} {line}")).collect::<Vec<_>>();
        assert_eq!(told(true), ["/x:3 a = 1", "/x:4 install a  true", "/x:7 b"]);
        assert_eq!(told(false), ["/x:3 a = 1", "/x:4 install a \\", "/x:5 true", "/x:7 b\\"]);
    }
}
