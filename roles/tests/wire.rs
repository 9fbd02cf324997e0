//! Frames split, merged, oversized and garbage; every message through the line and back.

#![expect(clippy::unwrap_used, reason = "a test that meets an error it does not expect ends there")]

use ostler_roles::challenge::Place;
use ostler_roles::facts::{Facts, Kernel, LiveFacts, System};
use ostler_roles::ledger::{Ledger, Proved, Subject};
use ostler_roles::outcome::{Ending, Event, Failure, FailureKind, Outcome};
use ostler_roles::plan::{Plan, Planned};
use ostler_roles::resource::{Kind, ResourceId, Shown};
use ostler_roles::wire::frame::{Decoder, FRAME_CAP, FrameError, MAGIC, NOISE_CAP, encode};
use ostler_roles::wire::message::{
    ActiveRun, Become, BlobData, Hello, Hidden, Login, Open, Refusal, SCHEMA, SecretData, ToAgent, ToController,
};
use ostler_roles::words::{AccountName, Bytes, Digest, MasterName, NodeName, RunId, Span, Version};
use proptest::prelude::*;

fn run() -> RunId {
    RunId::parse("019ab000-0000-7000-8000-000000000001").unwrap()
}

fn facts() -> Facts {
    let system = System { id: "debian".into(), version: "12".into(), codename: "bookworm".into(), family: "debian".into() };
    Facts {
        hostname: "build-1".into(),
        system,
        arch: "amd64".into(),
        kernel: Kernel { release: Version("6.1.0".into()), shared: true },
        virtualization: "lxc".into(),
        cpus: 4,
        memory: Bytes(1 << 33),
        addresses: vec!["192.0.2.1".into()],
        host_keys: Vec::new(),
        package_manager: "apt".into(),
        init: "systemd".into(),
    }
}

fn proved() -> Proved {
    let (master, executor) = (MasterName::parse("ci").unwrap(), NodeName::parse("build-1").unwrap());
    Proved { subject: Subject { master, executor, smoke: Digest::of(b"true") }, generation: 4 }
}

fn place() -> Place {
    Place::of("http://ci:8010/", &NodeName::parse("build-1").unwrap())
}

fn ledger() -> Ledger {
    let mut ledger = Ledger::default();
    ledger.prove(proved()).unwrap();
    ledger
}

fn to_agent() -> Vec<ToAgent> {
    let digest = Digest::of(b"x");
    vec![
        ToAgent::Open(Open { schema: SCHEMA, node: NodeName::parse("build-1").unwrap(), r#become: Some(Become::Sudo) }),
        ToAgent::Password(Hidden(b"open sesame".to_vec())),
        ToAgent::Blobs(vec![BlobData { digest, bytes: vec![0xc1; 40_000], more: true }]),
        ToAgent::Go {
            run: run(),
            plan: digest,
            generation: u64::MAX,
            secrets: vec![SecretData { hmac: digest, value: Hidden(vec![0, 255]) }],
            masked: vec![Hidden(b"no word of this".to_vec())],
            controller: "ada@desk".into(),
            owes: true,
        },
        ToAgent::Attach { run: None, after: 7 },
        ToAgent::Cancel { run: run() },
        ToAgent::Prove(proved()),
        ToAgent::Challenge { place: place(), account: AccountName::parse("ci").unwrap(), nonce: Some(Hidden(b"once".to_vec())) },
        ToAgent::Bye,
    ]
}

fn to_controller() -> Vec<ToController> {
    let digest = Digest::of(b"x");
    let id = ResourceId { kind: Kind::File, key: "/etc/motd".into() };
    let failure = Failure { kind: FailureKind::Moved, message: "m".into(), causes: vec!["c".into()], command: None, hint: None };
    let active =
        ActiveRun { run: run(), alive: true, controller: "ada@desk".into(), since: 1, age: Span::seconds(61), events: 9, owes: true };
    let steps = vec![
        Planned::Unchanged { why: "w".into() },
        Planned::MayChange { because: id.clone(), changes: vec![Shown::new("content", "a", "b")] },
        Planned::Impossible(failure.clone()),
    ];
    let event = |event| ToController::Event { seq: 3, event: Box::new(event) };
    vec![
        ToController::Login(Login { schema: SCHEMA, agent: digest, user: "admin".into() }),
        ToController::Hello(Box::new(Hello {
            schema: SCHEMA,
            agent: digest,
            user: "root".into(),
            root: true,
            boot_id: "b".into(),
            run: Some(active.clone()),
            generation: 4,
            ledger: ledger(),
            facts: facts(),
            live: LiveFacts::default(),
        })),
        ToController::AskPassword { user: "admin".into(), said: None },
        ToController::Stale { facts: Box::new(facts()), generation: 2 },
        ToController::NeedBlobs(vec![digest; 1000]),
        ToController::Planned(Box::new(Plan {
            catalog: digest,
            generation: 1,
            requirements: Vec::new(),
            steps,
            verify: Vec::new(),
            notes: Vec::new(),
        })),
        ToController::Refused(Refusal::Locked(active)),
        ToController::Refused(Refusal::NoRun(None)),
        ToController::Going { run: run() },
        event(Event::StepDone { index: 1, id, outcome: Outcome::Failed(failure.clone()), millis: 5 }),
        event(Event::Ended { ending: Ending::Good { changed: 1, unchanged: 2, generation: 3 }, millis: 9 }),
        ToController::Done { run: run(), last: 12 },
        ToController::Cut { run: run(), last: 11 },
        ToController::Cancelling { run: run() },
        ToController::Refused(Refusal::ChangedSince { proved: 1, found: 2 }),
        ToController::Proved,
        ToController::Challenge(true),
        ToController::Refused(Refusal::NoChallenge("no account".into())),
        ToController::Alive,
        ToController::Fault(failure),
    ]
}

fn stream<T: serde::Serialize>(messages: &[T]) -> Vec<u8> {
    let frames = messages.iter().flat_map(|message| encode(message).unwrap().to_vec());
    MAGIC.iter().copied().chain(frames).collect()
}

/// Everything that comes out when the bytes come in pieces of these sizes, over and over.
fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8], sizes: &[usize]) -> Result<Vec<T>, FrameError> {
    let mut decoder = Decoder::new();
    let mut out = Vec::new();
    let mut sizes = sizes.iter().cycle();
    let mut rest = bytes;
    while !rest.is_empty() {
        let size = (*sizes.next().unwrap()).clamp(1, rest.len());
        let (piece, later) = rest.split_at(size);
        decoder.push(piece);
        rest = later;
        while let Some(message) = decoder.message()? {
            out.push(message);
        }
    }
    Ok(out)
}

#[test]
fn every_message_survives_split_and_merged() {
    for sizes in [vec![1], vec![2, 3, 5], vec![4096], vec![usize::MAX]] {
        assert_eq!(decode::<ToAgent>(&stream(&to_agent()), &sizes), Ok(to_agent()), "in pieces of {sizes:?}");
        assert_eq!(decode::<ToController>(&stream(&to_controller()), &sizes), Ok(to_controller()), "in pieces of {sizes:?}");
    }
}

#[test]
fn a_noisy_shell_is_skipped_and_kept() {
    let noise = b"Welcome!\n\0 you have \x00ostler mail\n";
    let mut decoder = Decoder::new();
    decoder.push(&[noise, stream(&to_agent()).as_slice()].concat());
    assert_eq!(decoder.message(), Ok(Some(to_agent().remove(0))));
    assert_eq!(decoder.noise(), noise);
}

#[test]
fn noise_has_a_cap_and_the_beginning_of_it_is_shown() {
    let long = vec![b'n'; NOISE_CAP];
    assert_eq!(decode::<ToAgent>(&[&long, stream(&to_agent()).as_slice()].concat(), &[1000]).map(|all| all.len()), Ok(to_agent().len()));
    let longer = vec![b'n'; NOISE_CAP + 1];
    let refused = decode::<ToAgent>(&[&longer, stream(&to_agent()).as_slice()].concat(), &[usize::MAX]);
    assert_eq!(refused, Err(FrameError::NotOurs(vec![b'n'; 4096])));
    assert!(matches!(decode::<ToAgent>(&vec![b'n'; 3 * NOISE_CAP], &[777]), Err(FrameError::NotOurs(seen)) if seen.len() == 4096));
}

#[test]
fn frames_that_can_be_none_are_told_apart() {
    let after_magic = |bytes: &[u8]| decode::<ToAgent>(&[MAGIC, bytes].concat(), &[usize::MAX]);
    assert_eq!(after_magic(&[0xff; 4]), Err(FrameError::TooLong(u32::MAX as usize)));
    assert_eq!(after_magic(&((FRAME_CAP + 1) as u32).to_be_bytes()), Err(FrameError::TooLong(FRAME_CAP + 1)));
    assert_eq!(after_magic(&[0, 0, 0, 0]), Err(FrameError::Flag(None)));
    assert_eq!(after_magic(&[0, 0, 0, 1, 9]), Err(FrameError::Flag(Some(9))));
    assert!(matches!(after_magic(&[0, 0, 0, 2, 0, 0xc1]), Err(FrameError::Message(_))));
    assert!(matches!(after_magic(&[0, 0, 0, 3, 1, 0, 0]), Err(FrameError::Compression(_))));
    // A half frame is none yet, whatever it is half of.
    assert_eq!(after_magic(&[0, 0, 0, 200, 0, 1]), Ok(Vec::new()));
}

#[test]
fn a_message_above_the_cap_is_not_sent_and_a_bomb_is_not_unpacked() {
    let huge = ToAgent::Blobs(vec![BlobData { digest: Digest::of(b""), bytes: vec![0; FRAME_CAP], more: false }]);
    assert!(matches!(encode(&huge), Err(FrameError::TooLarge(_))));
    // Compresses a thousandfold: far below the cap on the line, above it unpacked.
    let bomb = zstd::bulk::compress(&vec![0u8; FRAME_CAP + 1], 1).unwrap();
    let frame = [&(bomb.len() as u32 + 1).to_be_bytes()[..], &[1], &bomb].concat();
    assert!(matches!(decode::<ToAgent>(&[MAGIC, &frame].concat(), &[usize::MAX]), Err(FrameError::Compression(_))));
}

#[test]
fn a_message_that_fills_memory_is_no_message() {
    // Small on the line, small unpacked, and two dozen bytes in memory for each of them.
    let many = ToController::Event {
        seq: 1,
        event: Box::new(Event::StepDone {
            index: 0,
            id: ResourceId { kind: Kind::File, key: "/a".into() },
            outcome: Outcome::Changed { changes: Vec::new(), notes: vec![String::new(); 3_000_000] },
            millis: 1,
        }),
    };
    let refused = decode::<ToController>(&stream(&[many]), &[usize::MAX]);
    assert!(matches!(&refused, Err(FrameError::Message(why)) if why.contains("values")), "{refused:?}");
    let hello = |facts: Facts| ToController::Stale { facts: Box::new(facts), generation: 1 };
    for (facts, why) in [
        (Facts { addresses: vec![String::new(); 5000], ..facts() }, "at most 4096 entries"),
        (Facts { hostname: "x".repeat(1 << 20), ..facts() }, "at most 64 KiB"),
        (Facts { kernel: Kernel { release: Version("6".repeat(1 << 20)), shared: true }, ..facts() }, "at most 64 KiB"),
        (Facts { host_keys: vec!["x".repeat(1 << 20)], ..facts() }, "at most 256 KiB"),
        (Facts { addresses: vec!["x".repeat(1 << 10); 300], ..facts() }, "at most 256 KiB"),
    ] {
        let refused = decode::<ToController>(&stream(&[hello(facts)]), &[usize::MAX]);
        assert!(matches!(&refused, Err(FrameError::Message(said)) if said.contains(why)), "{refused:?}");
    }
}

#[test]
fn large_messages_are_compressed_and_small_ones_are_not() {
    let large = encode(&to_agent()[2]).unwrap();
    assert_eq!(large[4], 1);
    assert!(large.len() < 1000, "{}", large.len());
    assert_eq!(encode(&ToAgent::Bye).unwrap()[4], 0);
}

#[test]
fn bytes_that_do_not_shrink_travel_as_they_are_up_to_the_cap() {
    // xorshift (Marsaglia 2003): bytes in which nothing repeats.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = |count: usize| -> Vec<u8> {
        let word = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        (0..count.div_ceil(8)).flat_map(word).take(count).collect()
    };
    let blob = |bytes: Vec<u8>| ToAgent::Blobs(vec![BlobData { digest: Digest::of(b"x"), bytes, more: false }]);
    let frame = encode(&blob(noise(40_000))).unwrap();
    assert_eq!(frame[4], 0);
    // The largest that may be sent: compressed, it would be above what the other end takes.
    let around = rmp_serde::to_vec_named(&blob(vec![0; 1 << 16])).unwrap().len() - (1 << 16);
    let largest = blob(noise(FRAME_CAP - 1 - around));
    let frame = encode(&largest).unwrap();
    assert_eq!(frame.len(), FRAME_CAP + 4);
    let read = decode::<ToAgent>(&[MAGIC, &frame].concat(), &[usize::MAX]).unwrap();
    assert!(read == [largest], "the same bytes");
}

#[test]
fn a_frame_can_be_passed_on_as_it_came() {
    let mut decoder = Decoder::new();
    decoder.push(&stream(&to_agent()));
    let mut passed = Vec::new();
    while let Some((message, frame)) = decoder.message_and_frame::<ToAgent>().unwrap() {
        assert_eq!(*encode(&message).unwrap(), *frame);
        passed.extend_from_slice(&frame);
        if matches!(message, ToAgent::Go { .. }) {
            break;
        }
    }
    passed.extend_from_slice(&decoder.into_rest());
    assert_eq!([MAGIC, &passed].concat(), stream(&to_agent()), "nothing is lost between the two ways of reading");
}

#[test]
fn added_fields_are_skipped_by_old_readers_and_filled_in_by_new_ones() {
    #[derive(serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Newer {
        Attach { run: Option<RunId>, after: u64, colour: String },
    }
    let newer = Newer::Attach { run: None, after: 7, colour: "red".into() };
    assert_eq!(decode::<ToAgent>(&stream(&[newer]), &[3]), Ok(vec![ToAgent::Attach { run: None, after: 7 }]));
    #[derive(serde::Serialize)]
    struct OlderActiveRun {
        run: RunId,
        alive: bool,
        controller: String,
        since: u64,
        events: u64,
    }
    let older = OlderActiveRun { run: run(), alive: true, controller: "ada@desk".into(), since: 1, events: 2 };
    let read: Vec<ActiveRun> = decode(&stream(&[older]), &[3]).unwrap();
    assert_eq!((read[0].age, read[0].owes), (Span::default(), true));
}

#[test]
fn hidden_bytes_show_nowhere() {
    for message in to_agent() {
        let shown = format!("{message:?}");
        assert!(!shown.contains("open sesame") && !shown.contains("[0, 255]"), "{shown}");
    }
}

proptest! {
    /// Whatever the pieces: the same messages.
    #[test]
    fn pieces_do_not_matter(sizes in prop::collection::vec(1usize..5000, 1..20), noise in "[a-z \n]{0,300}") {
        let bytes = [noise.as_bytes(), &stream(&to_controller())].concat();
        prop_assert_eq!(decode::<ToController>(&bytes, &sizes), Ok(to_controller()));
    }

    /// Whatever the bytes: an answer, and never a panic.
    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..2000), sizes in prop::collection::vec(1usize..200, 1..5)) {
        let _ = decode::<ToAgent>(&[MAGIC, &bytes].concat(), &sizes);
        let _ = decode::<ToController>(&bytes, &sizes);
    }

    /// One byte changed anywhere: an answer, and never a panic.
    #[test]
    fn a_flipped_byte_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = stream(&to_controller());
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decode::<ToController>(&bytes, &[777]);
    }

    /// Any blob goes through, compressed or not.
    #[test]
    fn blobs_go_through(bytes in prop::collection::vec(any::<u8>(), 0..60_000), more in any::<bool>()) {
        let message = ToAgent::Blobs(vec![BlobData { digest: Digest::of(&bytes), bytes, more }]);
        prop_assert_eq!(decode::<ToAgent>(&stream(std::slice::from_ref(&message)), &[4096]), Ok(vec![message]));
    }
}
