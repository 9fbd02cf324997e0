use super::*;
use crate::fleet::new_run;
use crate::fleet::{ExecutorRef, FleetEvent, Stage, Trouble, TroubleKind};
use crate::journal::{Record, RunLog, prune_logs, read_run};
use crate::report::{Journal, State};
use crate::transport::LinkEvent;
use ostler_roles::outcome::{Ending, Event, Outcome};
use ostler_roles::resource::{Kind, ResourceId};
use ostler_roles::words::{Digest, MasterName, NodeName};
use std::os::unix::fs::PermissionsExt;

fn node(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

fn store() -> (tempfile::TempDir, FileStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::new(directory.path().join("site"));
    (directory, store)
}

#[test]
fn a_swap_takes_place_only_where_what_was_seen_is_still_there() {
    let (_directory, store) = store();
    let key = Key::proofs(&node("n1"));
    assert!(!store.swap(&key, Some(b"1"), Some(b"2")).unwrap(), "there is nothing yet");
    assert!(store.swap(&key, None, Some(b"1")).unwrap());
    assert!(!store.swap(&key, None, Some(b"2")).unwrap(), "somebody was faster");
    assert!(store.swap(&key, Some(b"1"), Some(b"2")).unwrap());
    assert_eq!(store.get(&key).unwrap().as_deref(), Some(b"2".as_slice()));
    assert!(store.swap(&key, Some(b"2"), None).unwrap());
    assert_eq!(store.get(&key).unwrap(), None);
}

#[test]
fn many_that_count_together_lose_no_count() {
    let (_directory, store) = store();
    let key = Key::proofs(&node("n1"));
    let count = |store: &FileStore| {
        for _ in 0..20 {
            loop {
                let seen = store.get(&key).unwrap();
                let number: u32 = seen.as_deref().map_or(0, |bytes| std::str::from_utf8(bytes).unwrap().parse().unwrap());
                if store.swap(&key, seen.as_deref(), Some((number + 1).to_string().as_bytes())).unwrap() {
                    break;
                }
            }
        }
    };
    std::thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(|| count(&store)))));
    assert_eq!(store.get(&key).unwrap().as_deref(), Some(b"160".as_slice()));
}

#[test]
fn a_lock_says_who_has_it_and_ends_with_its_lease() {
    let (_directory, store) = store();
    let key = Key::node(&node("n1"));
    let Locked::Ours(lease) = store.lock(&key, "ada@desk (apply)").unwrap() else { panic!("nobody has it") };
    let Locked::Held(holder) = store.lock(&key, "eve@desk (apply)").unwrap() else { panic!("ada has it") };
    assert_eq!(holder.owner, "ada@desk (apply)");
    assert!(holder.age < Duration::from_secs(60));
    assert!(matches!(store.lock(&Key::node(&node("n2")), "eve@desk").unwrap(), Locked::Ours(_)), "another node is free");
    drop(lease);
    assert!(matches!(store.lock(&key, "eve@desk (apply)").unwrap(), Locked::Ours(_)));
}

#[test]
fn all_that_is_kept_is_its_owners_alone() {
    let (directory, store) = store();
    store.swap(&Key::proofs(&node("n1")), None, Some(b"1")).unwrap();
    store.put(&Key::program(&MasterName::parse("ci").unwrap()), b"1").unwrap();
    let _lease = store.lock(&Key::node(&node("n1")), "ada@desk").unwrap();
    store.begin_log(&new_run()).unwrap().append("{}").unwrap();
    let mut waiting = vec![directory.path().join("site")];
    let mut files = 0;
    while let Some(path) = waiting.pop() {
        let metadata = std::fs::metadata(&path).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o077, 0, "{}", path.display());
        files += usize::from(metadata.is_file());
        if metadata.is_dir() {
            waiting.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    assert_eq!(files, 5, "two values, a log, two locks: nothing is left aside");
}

fn told() -> Vec<FleetEvent> {
    let id = ResourceId { kind: Kind::File, key: "/etc/motd".to_owned() };
    let run = |seq, event| FleetEvent::Run { seq, event: Box::new(event) };
    let reason = "connection refused".to_owned();
    vec![
        FleetEvent::Connecting,
        FleetEvent::Link(LinkEvent::Retried { host: "n1".to_owned(), attempt: 1, reason }),
        FleetEvent::Met { placed: true, noise: Vec::new() },
        FleetEvent::Stage(Stage::Planned(Digest::of(b"plan"))),
        FleetEvent::Go(new_run()),
        FleetEvent::Stage(Stage::Going),
        run(1, Event::Started { run: new_run(), steps: 1, resumed_at: None }),
        run(0, Event::Progress { index: 0, what: "half".to_owned(), items: None, bytes: None }),
        run(2, Event::StepDone { index: 0, id, outcome: Outcome::Changed { changes: Vec::new(), notes: Vec::new() }, millis: 3 }),
        run(3, Event::Ended { ending: Ending::Failed, millis: 4 }),
        FleetEvent::Stage(Stage::Failed { at: Box::new(Stage::Going), why: "no room".to_owned() }),
        FleetEvent::Master { master: "ci".to_owned(), text: "quarantined".to_owned(), goes_on: true },
        FleetEvent::Stage(Stage::Quarantined(ExecutorRef { master: MasterName::parse("ci").unwrap(), executor: node("n1") })),
        FleetEvent::Trouble(Box::new(Trouble {
            kind: TroubleKind::Locked,
            chain: vec!["a".to_owned()],
            hint: "b".to_owned(),
            failure: None,
        })),
    ]
}

#[test]
fn a_run_is_read_back_as_it_was_and_its_report_is_the_same() {
    let (_directory, store) = store();
    let mut log = RunLog::create(&store).unwrap();
    let mut live = State::default();
    for event in told() {
        log.keep(&node("n1"), &event);
        live.apply(&node("n1"), &event);
    }
    let (run, _) = store.logs().unwrap().remove(0);
    let records = read_run(&store, &run).unwrap();
    let kept: Vec<String> = records.iter().map(|record| format!("{:?}", record.event)).collect();
    let lasting = told().len() - 1;
    assert_eq!(kept.len(), lasting, "progress is of the moment");
    assert!(records.windows(2).all(|pair| pair[0].at <= pair[1].at) && records[0].at > 1_700_000_000_000);
    let mut again = State::default();
    records.iter().for_each(|Record { node, event, .. }| again.apply(node, event));
    assert_eq!(format!("{again:?}"), format!("{live:?}"));
}

#[test]
fn a_torn_end_is_left_out_and_another_version_is_refused() {
    let (_directory, store) = store();
    let run = new_run();
    let mut log = store.begin_log(&run).unwrap();
    log.append(r#"{"v":2,"at":5,"node":"n1","event":"connecting"}"#).unwrap();
    let path = store.run(&run).join(LOG);
    let add = |text: &str| OpenOptions::new().append(true).open(&path).unwrap().write_all(text.as_bytes()).unwrap();
    add(r#"{"v":2,"at":6,"no"#);
    assert_eq!(read_run(&store, &run).unwrap().len(), 1);
    add("\n{\"v\":1,\"at\":6,\"more\":1}\n");
    let text = read_run(&store, &run).unwrap_err().to_string();
    assert!(text.starts_with("understand line 2 of the log of run "), "{text}");
}

#[test]
fn logs_are_kept_by_number_and_age_and_never_taken_from_a_run_that_writes() {
    let (_directory, store) = store();
    let day = Duration::from_secs(24 * 3600);
    let writing = new_run();
    let mut runs = vec![writing.clone()];
    let _log = store.begin_log(&writing).unwrap();
    for _ in 0..4 {
        runs.push(new_run());
        store.begin_log(runs.last().unwrap()).unwrap();
    }
    for (days, run) in [9u32, 8, 2, 1, 0].into_iter().zip(&runs) {
        let file = File::open(store.run(run)).unwrap();
        file.set_modified(SystemTime::now() - day * days).unwrap();
    }
    let kept = |store: &FileStore| store.logs().unwrap().into_iter().map(|(run, _)| run).collect::<Vec<_>>();
    prune_logs(&store, 10, day * 5).unwrap();
    let youngest_first = |numbers: &[usize]| numbers.iter().map(|number| runs[*number].clone()).collect::<Vec<_>>();
    assert_eq!(kept(&store), youngest_first(&[4, 3, 2, 0]), "by age, but for the one that is being written");
    prune_logs(&store, 2, day * 5).unwrap();
    assert_eq!(kept(&store), youngest_first(&[4, 3, 0]), "by number");
}
