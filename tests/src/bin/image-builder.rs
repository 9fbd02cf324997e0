//! A builder of layers that a test kills: `image-builder PROGRAM STORE BASE MARK`. It makes one layer after the other, each in a root tree with
//! processes that would live on, until it is killed. For tests alone.

use std::path::Path;

use ostler::image::layers::{LayerAbout, Store};
use ostler::image::root::{Bind, Root, RootSetup, RootSpec};
use ostler_roles::words::Digest;

/// Two processes that leave their session and their input, and a file in three parts.
const SCRIPT: &str = "echo one >/srv/file; (setsid sleep $MARK </dev/null >/dev/null 2>&1 &); (setsid sh -c 'while sleep 0.01; do echo x >>/tmp/x; done' &) \
                      >/dev/null 2>&1; echo two >>/srv/file; mkdir -p /srv/a/b; echo three >>/srv/file";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [program, dir, base, mark] = words.as_slice() else { return Err("image-builder PROGRAM STORE BASE MARK".into()) };
    for number in 0_u32.. {
        let store = Store::open(Path::new(dir))?;
        let half = store.begin(&Digest::of(format!("{mark} {number}").as_bytes()))?;
        let binds = vec![Bind { from: store.packages(), to: "/var/cache/apt/archives".into(), read_only: false }];
        let spec = RootSpec { layers: vec![base.into()], upper: Some((half.upper(), half.work())), binds, bare: false };
        let root = Root::enter(&spec, &RootSetup { program: program.into(), scratch: store.scratch() })?;
        let ran = root.run(&["/bin/sh", "-c", SCRIPT], &[("MARK", mark)])?;
        if !ran.status.success() {
            return Err(String::from_utf8_lossy(&ran.stderr).into());
        }
        root.leave()?;
        half.commit(&LayerAbout { name: mark.clone(), ..LayerAbout::default() })?;
    }
    Ok(())
}
