//! A file's lines by the names that they speak of: read once, asked for each host. A line's key is decoded only where its name fits.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::entry::{self, Entry, Line};
use super::pattern::Hosts;
use crate::stamp::Stamp;
use crate::transport::files;

/// A file of known hosts.
#[derive(Debug, Default)]
pub struct KnownHostsFile {
    text: String,
    lines: Vec<Range<usize>>,
    /// Lines with nothing but whole names.
    named: HashMap<String, Vec<usize>>,
    /// All others: wildcards, negations, hashed names.
    others: Vec<(usize, Hosts)>,
}

impl KnownHostsFile {
    /// Sorts a file's lines. What cannot be read is left out when its name is asked for.
    pub fn new(text: String) -> Self {
        let (mut lines, mut named, mut others) = (Vec::new(), HashMap::<String, Vec<usize>>::new(), Vec::new());
        let mut begin = 0;
        for (number, line) in text.split_inclusive('\n').enumerate() {
            let end = begin + line.trim_end_matches('\n').trim_end_matches('\r').len();
            lines.push(begin..end);
            match entry::hosts(&text[begin..end]) {
                Some(hosts) if hosts.is_pattern() => others.push((number, hosts)),
                Some(Hosts::Patterns(names)) => names.into_iter().for_each(|(_, name)| named.entry(name).or_default().push(number)),
                Some(hosts) => others.push((number, hosts)),
                None => {}
            }
            begin += line.len();
        }
        Self { text, lines, named, others }
    }

    /// The entries that speak of any of these names, in the file's order.
    pub(super) fn entries(&self, names: &[&str]) -> Vec<Entry> {
        let named = names.iter().filter_map(|name| self.named.get(*name)).flatten().copied();
        let speaks = |hosts: &Hosts| names.iter().any(|name| hosts.matches(name));
        let others = self.others.iter().filter(|(_, hosts)| speaks(hosts)).map(|(number, _)| *number);
        let mut numbers: Vec<usize> = named.chain(others).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let entry = |number: usize| match entry::parse_line(&self.text[self.lines[number].clone()], number + 1) {
            Line::Entry(entry) => Some(entry),
            Line::Nothing | Line::Unreadable => None,
        };
        numbers.into_iter().filter_map(entry).collect()
    }
}

/// The files of known hosts that a run has read. Each is read again only once it is another.
#[derive(Debug, Default)]
pub struct KnownHostsFiles(Mutex<HashMap<PathBuf, (Stamp, Arc<KnownHostsFile>)>>);

impl KnownHostsFiles {
    /// A file as it is now.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(&self, file: &Path) -> std::io::Result<Arc<KnownHostsFile>> {
        // Held while it is read: all nodes of a run ask at once.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What is written between the stamp and the reading is read again the next time.
        let stamp = Stamp::of(file)?;
        if let Some((_, book)) = known.get(file).filter(|(seen, _)| *seen == stamp) {
            return Ok(Arc::clone(book));
        }
        let book = Arc::new(KnownHostsFile::new(String::from_utf8_lossy(&files::read(file)?).into_owned()));
        known.insert(file.to_owned(), (stamp, Arc::clone(&book)));
        Ok(book)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_once_and_again_when_it_is_another() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("known_hosts");
        let books = KnownHostsFiles::default();
        assert_eq!(books.open(&file).unwrap_err().kind(), std::io::ErrorKind::NotFound);
        let key = "ssh-future AAAACnNzaC1mdXR1cmUAAAAEYWJjZA==";
        std::fs::write(&file, format!("a {key}\n")).unwrap();
        let first = books.open(&file).unwrap();
        for _ in 0..100 {
            assert!(Arc::ptr_eq(&books.open(&file).unwrap(), &first));
        }
        std::fs::write(&file, format!("a {key}\nb {key}\n")).unwrap();
        let second = books.open(&file).unwrap();
        assert_eq!((first.entries(&["b"]).len(), second.entries(&["b"]).len()), (0, 1));
        // One of the same length that was put in its place.
        let aside = directory.path().join("aside");
        std::fs::write(&aside, format!("a {key}\nc {key}\n")).unwrap();
        std::fs::rename(&aside, &file).unwrap();
        assert_eq!(books.open(&file).unwrap().entries(&["c"]).len(), 1);
    }

    #[test]
    fn lines_are_found_by_every_kind_of_name_in_the_files_order() {
        let key = "ssh-future AAAACnNzaC1mdXR1cmUAAAAEYWJjZA==";
        let hashed = super::super::pattern::write_hashed(&[7; 20], "node1").unwrap();
        let text = format!(
            "# node1 {key}\n\nnode* {key}\r\nNODE1,other {key}\n{hashed} {key}\n!node1,node* {key}\nnode1 broken\n@revoked node1 {key}\n[node1]:2222 {key}"
        );
        let book = KnownHostsFile::new(text);
        let found = |names: &[&str]| book.entries(names).iter().map(|entry| entry.line).collect::<Vec<_>>();
        assert_eq!(found(&["node1"]), [3, 4, 5, 8]);
        assert_eq!(found(&["[node1]:2222", "node1"]), [3, 4, 5, 8, 9]);
        assert_eq!(found(&["other"]), [4]);
        assert_eq!(found(&["nobody"]), [0; 0]);
    }
}
