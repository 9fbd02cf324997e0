//! Labs for tests: in a scratch directory of their own, ended with the test however it ends.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ostler::environment::Environment;
use ostler::lab::{Lab, LabError, LabSpec, Progress, Setup};

/// Returns the `ostler` program to test: `OSTLER_BIN`, else the one built beside this test.
///
/// # Panics
/// When neither is there.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "a test's own variable, not the product's")]
#[expect(clippy::expect_used, reason = "test support: a missing program must stop the test at once")]
pub fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("OSTLER_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().expect("this test's own path");
    let built = test.ancestors().nth(2).map(|dir| dir.join("ostler")).filter(|path| path.is_file());
    built.expect("the ostler program is not built: run `cargo build -p ostler`, or set OSTLER_BIN")
}

/// Returns the setup of a lab whose state lies in `dir`; one that is there is closed to others, as the lab wants it.
///
/// # Panics
/// When the program to test is missing.
#[must_use]
#[expect(clippy::expect_used, reason = "test support: a directory that is not ours must stop the test at once")]
pub fn setup(dir: &Path) -> Setup {
    if dir.is_dir() {
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)).expect("a directory of the test's own");
    }
    let environment = Environment::read();
    let cache_dir = environment.cache.join("lab");
    Setup { state_dir: dir.to_owned(), cache_dir, program: program(), outlives: false, environment }
}

/// Brings a lab up, telling on standard error what it builds.
///
/// # Errors
/// When it does not come up.
pub fn up(dir: &Path, spec: LabSpec) -> Result<Lab, LabError> {
    use std::io::Write;
    let tell = |progress| match progress {
        Progress::Building { what, line } => drop(writeln!(std::io::stderr(), "{what}: {line}")),
        Progress::Notice(text) => drop(writeln!(std::io::stderr(), "{text}")),
        Progress::NodeUp(_) => {}
    };
    Lab::up(spec, &setup(dir), &tell)
}
