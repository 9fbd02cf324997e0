use ostler::image::root::*;
use std::path::PathBuf;
use std::time::Instant;
#[test]
fn x() {
    let dir = tempfile::tempdir().unwrap();
    let setup = RootSetup { program: ostler_tests::lab::program(), scratch: dir.path().join("s") };
    let (u, w) = (dir.path().join("u"), dir.path().join("w"));
    std::fs::create_dir_all(&u).unwrap();
    std::fs::create_dir_all(&w).unwrap();
    let base = PathBuf::from(std::env::var("BASE").unwrap());
    for bare in [false, true] {
        for _ in 0..5 {
            let t = Instant::now();
            let root =
                Root::enter(&RootSpec { layers: vec![base.clone()], upper: Some((u.clone(), w.clone())), binds: vec![], bare }, &setup)
                    .unwrap();
            let a = t.elapsed();
            let out = root.run(&["/bin/sh", "-c", &std::env::var("CMD").unwrap_or("true".into())], &[]);
            let b = t.elapsed();
            let f = root.fetched();
            let left = root.leave();
            println!("{a:?} {b:?} {:?} {left:?} {f}", t.elapsed());
            if let Ok(o) = out {
                println!("{:?} {} {}", o.status, String::from_utf8_lossy(&o.stdout), String::from_utf8_lossy(&o.stderr));
            } else {
                println!("{out:?}");
            }
        }
    }
    println!(
        "{:?}",
        std::process::Command::new("find")
            .arg(dir.path())
            .arg("-ls")
            .output()
            .map(|o| String::from_utf8_lossy(&o.stdout).into_owned())
            .unwrap()
    );
}
