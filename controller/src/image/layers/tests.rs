//! The store: half layers, damage, locks, budget, a full disk.

use super::*;

fn key(number: u8) -> Digest {
    Digest::of(&[number])
}

fn about(name: &str) -> LayerAbout {
    LayerAbout { name: name.to_owned(), ..LayerAbout::default() }
}

fn make_layer(store: &Store, number: u8, bytes: usize) -> Layer {
    let fill = |half: &HalfLayer| fs::write(half.upper().join("file"), vec![1; bytes]).map_err(ImageError::file("write", &half.upper()));
    store.ensure(&key(number), &about("test"), fill).unwrap()
}

fn names(store: &Store) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(store.layers()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_layer_is_there_once_it_is_whole_and_never_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let half = store.begin(&key(1)).unwrap();
    fs::write(half.upper().join("file"), vec![7; 10_000]).unwrap();
    assert!(store.get(&key(1)).is_none(), "half a layer is none");
    let about = LayerAbout { name: "one".to_owned(), parent: Some(key(9)), inputs: [("suite".to_owned(), "x".to_owned())].into() };
    let layer = half.commit(&about).unwrap();
    assert_eq!((layer.key, &layer.about, layer.bytes), (key(1), &about, 12_288));
    assert_eq!(names(&store), [key(1).to_string()], "nothing beside it");
    let again = store.ensure(&key(1), &LayerAbout::default(), |_| panic!("made again")).unwrap();
    assert_eq!(again.tree, layer.tree);
    let open = fs::metadata(store.dir()).unwrap().permissions().mode() & 0o777;
    assert_eq!((open, fs::metadata(&layer.tree).unwrap().permissions().mode() & 0o777), (0o700, 0o755));
}

#[test]
fn what_failed_or_was_dropped_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    drop(store.begin(&key(1)).unwrap());
    let failed = store.ensure(&key(2), &about("two"), |half| {
        fs::write(half.upper().join("file"), "x").unwrap();
        Err(ImageError::refused("planted", "none"))
    });
    assert_eq!(failed.unwrap_err().to_string(), "planted");
    assert_eq!(names(&store), Vec::<String>::new());
}

#[test]
fn what_a_killed_builder_left_is_swept_and_what_another_makes_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let working = store.begin(&key(1)).unwrap();
    let (lost, gone) = (store.layers().join(format!(".{}.part", key(2))), store.layers().join(format!(".{}.gone", key(3))));
    for left in [&lost.join("tree/etc"), &gone.join("tree"), &store.scratch().join("root-1/tmp")] {
        fs::create_dir_all(left).unwrap();
    }
    let held = store.scratch().join("root-2");
    fs::create_dir(&held).unwrap();
    let hold = File::open(&held).unwrap();
    rustix::fs::flock(&hold, FlockOperation::LockExclusive).unwrap();
    let again = Store::open(dir.path()).unwrap();
    assert_eq!(
        names(&again),
        [format!(".{}.lock", key(1)), format!(".{}.part", key(1))].into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    );
    assert!(held.exists() && !store.scratch().join("root-1").exists());
    working.commit(&about("one")).unwrap();
    assert!(again.get(&key(1)).is_some());
}

#[test]
fn a_damaged_layer_is_not_used_and_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let layer = make_layer(&store, 1, 10);
    let description = layer.tree.with_file_name(ABOUT);
    drop(layer);
    let text = fs::read_to_string(&description).unwrap();
    for damaged in ["", "{", &text.replace(&key(1).to_string(), &key(2).to_string()), &text.replace("\"format\": 1", "\"format\": 2")] {
        fs::write(&description, damaged).unwrap();
        assert!(store.get(&key(1)).is_none() && store.list().is_empty(), "{damaged}");
    }
    assert_eq!(fs::read(make_layer(&store, 1, 20).tree.join("file")).unwrap().len(), 20);
    fs::remove_dir_all(store.get(&key(1)).unwrap().tree).unwrap();
    assert!(store.get(&key(1)).is_none(), "without its tree it is none");
}

#[test]
fn two_who_want_one_layer_make_it_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let made = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let build = |half: &HalfLayer| {
                    made.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    fs::write(half.upper().join("file"), "x").map_err(ImageError::file("write", &half.upper()))
                };
                assert!(store.ensure(&key(1), &about("one"), build).unwrap().tree.join("file").exists());
            });
        }
    });
    assert_eq!((made.into_inner(), names(&store)), (1, vec![key(1).to_string()]));
    let _half = store.begin(&key(2)).unwrap();
    let late = store.lock(&key(2), Duration::from_millis(60)).unwrap_err();
    assert!(matches!(late, ImageError::Deadline { .. }), "{late}");
}

#[test]
fn the_budget_takes_what_was_used_longest_ago_and_neither_what_is_used_nor_held() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for number in 1..=5 {
        let layer = make_layer(&store, number, 100_000);
        layer._used.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(number))).unwrap();
    }
    let used = store.look(&key(1)).unwrap();
    let removed = store.trim(2 * used.bytes, &BTreeSet::from([key(2)])).unwrap();
    assert_eq!(removed, [key(3), key(4), key(5)]);
    // Neither of the two that are left may go, whatever the budget is.
    assert_eq!(store.trim(0, &BTreeSet::from([key(2)])).unwrap(), []);
    // A use counts.
    drop(used);
    drop(store.get(&key(1)));
    make_layer(&store, 6, 100_000)._used.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(9)).unwrap();
    let left = store.trim(250_000, &BTreeSet::from([key(2)])).unwrap();
    assert_eq!(left, [key(6)]);
    assert!(store.get(&key(6)).is_none() && store.get(&key(1)).is_some());
    assert_eq!(names(&store).len(), 2);
}

#[test]
fn a_full_disk_is_told_and_nothing_half_is_there() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mounted = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "small"]).arg(dir.path()).status().unwrap();
    assert!(mounted.success());
    let told = std::panic::catch_unwind(|| {
        let store = Store::open(&dir.path().join("store")).unwrap();
        let fill = |half: &HalfLayer| {
            let at = half.upper().join("large");
            fs::write(&at, vec![1; 3 << 20]).map_err(ImageError::file("write", &at))
        };
        let error = store.ensure(&key(1), &about("large"), fill).unwrap_err();
        (error.to_string(), names(&store), make_layer(&store, 2, 10).bytes)
    });
    let unmounted = std::process::Command::new("umount").arg(dir.path()).status().unwrap();
    assert!(unmounted.success());
    let (error, left, _) = told.unwrap();
    assert!(error.starts_with("no room is left on the disk of "), "{error}");
    assert_eq!(left, Vec::<String>::new());
}
