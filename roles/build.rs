//! Puts the role library beside the code, so that an installed program has it. Only for those who read roles: the agent does not.
#![expect(clippy::disallowed_methods, reason = "cargo speaks to a build script through the environment")]

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_AUTHOR").is_none() {
        return Ok(());
    }
    println!("cargo::rerun-if-changed=library");
    let library = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("library");
    let mut files = Vec::new();
    walk(&library, &mut files)?;
    files.sort();
    let mut code = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(&library)?.to_str().ok_or("a file of the library has no UTF-8 name")?.to_owned();
        writeln!(code, "    LibraryFile {{ path: {name:?}, bytes: include_bytes!({:?}) }},", file)?;
    }
    code.push_str("]\n");
    fs::write(PathBuf::from(std::env::var("OUT_DIR")?).join("library.rs"), code)?;
    Ok(())
}

/// All files below a directory.
fn walk(dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}
