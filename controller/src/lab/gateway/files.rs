//! The static file server: what lies in the lab's `www` directory, with ranges, for downloads and wheels.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::net::TcpStream;
use std::path::{Component, Path, PathBuf};

use super::http::{Head, answer, refuse};

/// Serves one directory.
#[derive(Debug)]
pub(super) struct Files {
    root: PathBuf,
}

impl Files {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Answers the requests of one connection.
    pub(super) fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let mut out = stream.try_clone()?;
        let mut reader = BufReader::new(stream);
        while let Some(head) = Head::read(&mut reader)? {
            if head.method != "GET" && head.method != "HEAD" {
                return refuse(&mut out, "405 Method Not Allowed", "only GET and HEAD are served here");
            }
            match self.find(&head.target) {
                Some(path) if path.is_dir() => list(&mut out, &head, &path)?,
                Some(path) => send(&mut out, &head, &path)?,
                None => refuse(&mut out, "404 Not Found", "no such file")?,
            }
            if head.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
                break;
            }
        }
        Ok(())
    }

    /// Returns the file a request path names, if it is inside.
    fn find(&self, target: &str) -> Option<PathBuf> {
        let path = percent_decoded(target.split(['?', '#']).next()?)?;
        let relative = Path::new(path.trim_start_matches('/'));
        if relative.components().any(|part| !matches!(part, Component::Normal(_))) {
            return None;
        }
        let found = fs::canonicalize(self.root.join(relative)).ok()?;
        let root = fs::canonicalize(&self.root).ok()?;
        found.starts_with(root).then_some(found)
    }
}

/// Sends a file, or the range of it that was asked for.
pub(super) fn send(out: &mut TcpStream, head: &Head, path: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let kind = ("Content-Type", content_type(path).to_owned());
    let accepts = ("Accept-Ranges", "bytes".to_owned());
    let (first, end) = match head.range(length) {
        None => {
            answer(out, "200 OK", &[kind, accepts, ("Content-Length", length.to_string())])?;
            (0, length)
        }
        Some(Ok((first, end))) => {
            let range = ("Content-Range", format!("bytes {first}-{}/{length}", end - 1));
            answer(out, "206 Partial Content", &[kind, accepts, range, ("Content-Length", (end - first).to_string())])?;
            (first, end)
        }
        Some(Err(())) => {
            let range = ("Content-Range", format!("bytes */{length}"));
            return answer(out, "416 Range Not Satisfiable", &[range, ("Content-Length", "0".into())]);
        }
    };
    if head.method == "HEAD" {
        return Ok(());
    }
    file.seek(SeekFrom::Start(first))?;
    io::copy(&mut file.take(end - first), out).map(drop)
}

/// Sends a directory's names as links: pip's `--find-links` reads such a page.
fn list(out: &mut TcpStream, head: &Head, dir: &Path) -> io::Result<()> {
    let mut names: Vec<String> =
        fs::read_dir(dir)?.filter_map(Result::ok).filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    let links: String =
        names.iter().filter(|name| !name.contains(['"', '<', '&'])).map(|name| format!("<a href=\"{name}\">{name}</a><br>\n")).collect();
    let page = format!("<!DOCTYPE html>\n<title>files</title>\n{links}");
    answer(out, "200 OK", &[("Content-Type", "text/html".into()), ("Content-Length", page.len().to_string())])?;
    if head.method == "HEAD" { Ok(()) } else { io::Write::write_all(out, page.as_bytes()) }
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|end| end.to_str()) {
        Some("html") => "text/html",
        Some("txt") => "text/plain",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first == b'%' {
            let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &rest[2..];
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_inside_the_served_directory() {
        let dir = tempfile::tempdir().expect("scratch");
        fs::write(dir.path().join("a b.txt"), "x").expect("write");
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join("out")).expect("link");
        let files = Files::new(dir.path());
        assert!(files.find("/a%20b.txt?x=1").is_some_and(|path| path.ends_with("a b.txt")));
        assert!(files.find("/").is_some_and(|path| path.is_dir()));
        for outside in ["/../etc/passwd", "/%2e%2e/etc/passwd", "/out", "/missing", "/%zz"] {
            assert_eq!(files.find(outside), None, "{outside}");
        }
    }
}
