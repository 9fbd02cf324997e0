//! Why a verb could not be carried out: the kind decides the exit code, the hint is the next step.

use crate::image::ImageError;
use crate::inventory::{ReadSiteError, SelectError};
use crate::journal::StateError;
use crate::lab::LabError;
use crate::report::{Exit, Format, Printer};
use crate::secret::SecretError;
use ostler_roles::author::diagnostic::Faults;
use ostler_roles::words::count;
use serde_json::json;

/// Why a verb could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The site is wrong.
    #[error("{} in the site", count(.0.len(), "fault"))]
    Site(Faults),
    /// The command line names a value that cannot be read.
    #[error("{} on the command line", count(.0.len(), "fault"))]
    Arguments(Faults),
    /// The site cannot be read.
    #[error(transparent)]
    Read(#[from] ReadSiteError),
    /// `--limit` means nothing.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// Kept state cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// A secret cannot be read or written.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The lab failed.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// An image could not be built.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Wrong usage that clap cannot see.
    #[error("{what}")]
    Usage {
        /// What is wrong.
        what: String,
        /// What to do.
        hint: String,
    },
    /// A confirmation is needed and there is nobody to ask.
    #[error("a confirmation is needed and there is no terminal to ask at")]
    NoConfirmation,
    /// This build carries no agent.
    #[error("this build of ostler carries no agent")]
    NoAgent,
    /// A file could not be read or written.
    #[error("{what}")]
    File {
        /// What was being done, with the path.
        what: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The asynchronous runtime could not be started.
    #[error("start the runtime")]
    Runtime(#[source] std::io::Error),
    /// Ctrl-C cannot be listened for.
    #[error("listen for signals")]
    Signals(#[source] std::io::Error),
    /// The demo did not show what it is to show.
    #[error("the demo did not show {0}")]
    Demo(String),
    /// The program came upon what cannot be.
    #[error("a defect of ostler: {0}")]
    Defect(String),
    /// A person ended the demo.
    #[error("interrupted")]
    Interrupted,
}

impl CommandError {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Site(_) | Self::Read(_) | Self::Secret(_) => Exit::Site,
            Self::Arguments(_) | Self::Select(_) | Self::Usage { .. } => Exit::Usage,
            Self::NoConfirmation => Exit::NoConfirmation,
            Self::Image(ImageError::Refused { .. }) => Exit::Usage,
            Self::Lab(_) | Self::Image(_) | Self::State(_) | Self::File { .. } | Self::Demo(_) => Exit::NodeFailed,
            Self::NoAgent | Self::Runtime(_) | Self::Signals(_) | Self::Defect(_) => Exit::Internal,
            Self::Interrupted => Exit::Interrupted,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Site(_) | Self::Arguments(_) | Self::Interrupted => None,
            Self::Read(ReadSiteError::NoSite { .. } | ReadSiteError::NoDirectory { .. }) => {
                Some("ostler init DIR writes a site; -C DIR names one".to_owned())
            }
            Self::Read(_) | Self::State(_) | Self::Lab(_) | Self::File { .. } | Self::Runtime(_) | Self::Signals(_) | Self::Demo(_) => None,
            Self::Select(SelectError::Unknown { word, .. }) if word.contains([':', ';', ' ']) => Some(format!(
                "patterns are parted by commas: --limit '{}'",
                word.split([':', ';', ' ']).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(",")
            )),
            Self::Select(_) => Some("ostler nodes lists nodes and groups".to_owned()),
            Self::Secret(SecretError::NoRecipients) => Some("ostler secret show-recipients".to_owned()),
            Self::Secret(_) => None,
            Self::Usage { hint, .. } | Self::Image(ImageError::Refused { hint, .. }) => Some(hint.clone()),
            Self::Image(_) => None,
            Self::Defect(_) => {
                Some("please report it with the output of `ostler --version`; runs that began go on, `ostler attach` shows them".to_owned())
            }
            Self::NoConfirmation => Some("look at `ostler plan`, then add --yes".to_owned()),
            Self::NoAgent => Some("build with `make`, or name a ready agent in OSTLER_AGENT when building".to_owned()),
        }
    }

    /// Prints it: JSON on standard output where that was asked for, text on standard error otherwise.
    pub fn print(&self, printer: &Printer) {
        let chain = crate::fleet::chain(self);
        if printer.format == Format::Json {
            let faults = if let Self::Site(faults) | Self::Arguments(faults) = self { Some(faults.json()) } else { None };
            printer.json(&json!({ "v": 1, "type": "error", "exit": self.exit().code(), "message": chain[0], "causes": chain[1..], "hint": self.hint(), "faults": faults }));
            return;
        }
        if let Self::Site(faults) | Self::Arguments(faults) = self {
            let look =
                ostler_roles::author::diagnostic::RenderStyle { color: printer.style.colour, width: printer.style.width.unwrap_or(140) };
            printer.aside(faults.render(look).trim_end());
        }
        let causes = chain[1..].iter().map(|cause| format!("  because: {cause}"));
        let hint = self.hint().map(|hint| format!("  try: {}", crate::report::advice(&hint)));
        for text in std::iter::once(format!("error: {}", chain[0])).chain(causes).chain(hint) {
            let clean = crate::report::sanitize(&printer.mask.text(&text), false);
            printer.style.paragraph(&clean, 4).iter().for_each(|line| printer.aside(line));
        }
    }
}
