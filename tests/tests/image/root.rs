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

#[test]
fn b() {
    use ostler::image::{layers::Store, base::{self, Base}};
    let dir = tempfile::Builder::new().prefix("st").tempdir_in("/work/wt/root/target").unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let env = ostler::environment::Environment::read();
    for n in 0..3 {
        let t = Instant::now();
        let b = Base::Debootstrap { suite: "bookworm".into(), mirrors: vec![], components: vec![], head: None };
        let l = base::ensure(&store, &b, &env, &|l| println!("{l}")).unwrap();
        println!("{n} {:?} {:?}", t.elapsed(), l[0]);
        if n == 0 {
        println!("{}", std::process::Command::new("sh").arg("-c").arg(format!("cd {}; cat etc/apt/sources.list etc/apt/sources.list.d/*; ls -la etc/apt/apt.conf.d etc/dpkg/dpkg.cfg.d etc/resolv.conf etc/hostname etc/machine-id var/cache/apt var/cache/apt/archives var/lib/dbus  etc/hosts dev; du -sh . var/lib/apt/lists; ls -la var/lib/apt/lists; ls {} | wc -l", l[0].tree.display(), store.packages().display())).output().map(|o| String::from_utf8_lossy(&o.stdout).into_owned() + &String::from_utf8_lossy(&o.stderr)).unwrap());
        }
        let k = l[0].key; drop(l);
        if n == 1 { println!("rm {}", store.remove(&k).unwrap()); }
    }
}
