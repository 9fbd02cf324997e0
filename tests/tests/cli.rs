//! Transcripts of the real program: help, first steps, refusals, exit codes.
//!
//! Snapshots lie in `tests/tests/cli/snapshots`; `INSTA_UPDATE=always cargo test -p ostler-tests --test cli` writes them anew.

mod cli {
    mod completions;
    mod first_steps;
    mod generated;
    mod help;
    mod hostile;
    mod image_builds;
    mod images;
    mod refusals;
    mod schema;
}
