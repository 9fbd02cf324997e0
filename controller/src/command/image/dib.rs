//! `ostler image dib`: what nodepool-builder calls as its `dib-cmd`.

use super::made::{self, Wanted};
use super::workshop::Workshop;
use crate::cli::DibArgs;
use crate::command::{CommandError, Context, prepare};
use crate::image::ImageError;
use crate::image::dib::{self, Asked, DibRequest};
use crate::image::disk::{Compat, Compression, Qcow2};
use crate::image::output::{HalfBuild, Readable};
use crate::report::{Exit, Printer, Progress, Style};
use ostler_roles::author::image::{Base, Format};
use std::os::fd::AsFd;

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
fn build(context: &Context, request: &DibRequest) -> Result<(), CommandError> {
    let mut workshop = Workshop::open(context, &request.image, &[])?;
    if let Some(cache) = &request.cache {
        workshop.setup.cache = cache.join("ostler");
    }
    is_of_release(&workshop, request)?;
    let compression = if request.is_compressed { Compression::Zlib } else { Compression::None };
    let compat = if request.compat == dib::Compat::Old { Compat::V0 } else { Compat::V1 };
    let format = |format: &dib::Format| match format {
        dib::Format::Qcow2 => Format::Qcow2,
        dib::Format::Raw => Format::Raw,
        dib::Format::Tar => Format::Tar,
    };
    let formats: Vec<Format> = request.formats.iter().map(format).collect();
    made::has_size(&workshop.image, &formats)?;
    let builds = workshop.builds.clone();
    let wanted = Wanted { formats, builds, shell: false, qcow2: Qcow2 { compression, compat } };
    let told = |_| ImageError::refused(format!("image {} is not built", request.image), "see what is said above");
    let sealed = prepare::block_on(made::sealed(context, &workshop, &wanted))?.map_err(told)?;
    let half = HalfBuild::at(&request.out, Readable::All)?;
    sealed.write(context, &workshop, half, &wanted.formats).map(drop)
}

/// `release` of the diskimage is a check: what the image is of, its file says.
fn is_of_release(workshop: &Workshop, request: &DibRequest) -> Result<(), CommandError> {
    let (Some(release), Base::Debootstrap { suite, .. }) = (&request.release, &workshop.image.base.value) else { return Ok(()) };
    if release == suite {
        return Ok(());
    }
    let what = format!("the builder wants release {release}, and image {} is of {suite}", request.image);
    Err(ImageError::refused(what, format!("write `release: {suite}` at the diskimage in nodepool.yaml, or leave it out")).into())
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
    let escalator = dib::escalator();
    let watch = move || {
        if dib::is_unread(std::io::stdout().as_fd(), escalator.as_ref().map(AsFd::as_fd)) {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM);
        }
    };
    let started = std::thread::Builder::new().name("reader".to_owned()).spawn(watch);
    // It ends with the process.
    started.map(drop).map_err(|source| CommandError::File { what: "start a thread".to_owned(), source })
}
