//! `ostler image dib`: what nodepool-builder calls as its `dib-cmd`.

use crate::cli::DibArgs;
use crate::command::{CommandError, Context};
use crate::image::ImageError;
use crate::image::dib::{self, Asked, DibRequest};
use crate::report::{Exit, Printer, Progress, Style};
use std::os::fd::AsFd as _;

/// Builds what is asked for, and ends well only when every file of it is there.
pub fn run(context: &Context, args: &DibArgs) -> Result<Exit, CommandError> {
    let context = plain(context, args);
    let request = DibRequest::read(&asked(args), &context.environment.dib)?;
    end_with_the_reader()?;
    let printer = &context.printer;
    printer.line(&format!("image {} for {}", request.image, request.known_as.as_deref().unwrap_or("this machine")));
    if !request.unread.is_empty() {
        printer.line(&format!("not read, since they are for elements: {}", request.unread.join(", ")));
    }
    for file in dib::deliver(&request, |request| build(&context, request))? {
        printer.line(&format!("made {}", file.display()));
    }
    Ok(Exit::Good)
}

/// The files of a request, in their places.
fn build(_: &Context, request: &DibRequest) -> Result<(), CommandError> {
    let what = format!("image {} cannot be built: this version of ostler builds no images", request.image);
    Err(ImageError::refused(what, "ostler --version; a later one does").into())
}

fn asked(args: &DibArgs) -> Asked {
    Asked {
        architecture: args.architecture.clone(),
        out: Some(args.out.clone()),
        formats: args.formats.clone(),
        trace: args.trace,
        is_uncompressed: args.uncompressed,
        has_checksum: args.checksum,
        qemu_img_options: args.qemu_img_options.clone(),
        cache: args.image_cache.clone(),
        refused: args.refused.given(),
        elements: args.elements.clone(),
    }
}

/// A log: line by line, whoever reads it, and the site where the builder says that it is.
fn plain(context: &Context, args: &DibArgs) -> Context {
    let verbose = context.printer.verbose.max(args.trace.min(1));
    let style = Style { colour: false, width: None };
    let progress = if context.printer.progress == Progress::Silent { Progress::Silent } else { Progress::Lines };
    let printer = Printer { style, progress, verbose, ..context.printer.clone() };
    let site = context.site.clone().or_else(|| dib::site(&context.environment.dib));
    Context { printer, site, environment: context.environment.clone() }
}

/// Ends this process as SIGTERM does once nobody reads the log any more: the builder has given up, and where it runs us by `sudo` it could
/// kill that alone. What a build holds is let go as after any other end.
fn end_with_the_reader() -> Result<(), CommandError> {
    let watch = || {
        if dib::is_unread(std::io::stdout().as_fd()) {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM);
        }
    };
    let started = std::thread::Builder::new().name("reader".to_owned()).spawn(watch);
    // It ends with the process.
    started.map(drop).map_err(|source| CommandError::File { what: "start a thread".to_owned(), source })
}
