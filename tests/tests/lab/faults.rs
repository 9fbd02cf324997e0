//! Faults of a node's network and of the node itself, and their healing.

use crate::*;
use ostler::lab::Delay;

#[test]
fn a_link_goes_down_a_port_falls_silent_a_node_hangs_and_all_heal() {
    let dir = scratch();
    let lab = up(dir.path(), LabSpec::new([node("n1", 11)])).expect("up");
    let limit = Duration::from_millis(300);
    let reach = || lab.connect(ssh_address(&lab, "n1"), limit);
    for (fault, healing) in [(Fault::LinkDown, Fault::LinkUp), (Fault::Drop { port: 22 }, Fault::ClearRules)] {
        lab.fault("n1", fault.clone()).expect("hurt");
        let error = reach().expect_err("silent").to_string();
        assert!(error.contains("timed out"), "{fault:?}: {error}");
        lab.fault("n1", healing).expect("healed");
        lab.connect(ssh_address(&lab, "n1"), SHORT).expect("reached again");
    }
    lab.fault("n1", Fault::Refuse { port: 22 }).expect("hurt");
    let error = reach().expect_err("refused").to_string();
    assert!(error.contains("refused"), "{error}");
    lab.fault("n1", Fault::ClearRules).expect("healed");

    lab.fault("n1", Fault::Freeze).expect("frozen");
    let mut stream = reach().expect("the kernel still accepts");
    stream.set_read_timeout(Some(limit)).expect("deadline");
    assert!(stream.read_exact(&mut [0; 4]).is_err(), "no banner from a frozen sshd");
    lab.fault("n1", Fault::Thaw).expect("thawed");
    assert!(banner(&lab, "n1").starts_with("SSH-"));
}

#[test]
fn a_delay_is_added_to_every_round_trip_and_taken_back() {
    let dir = scratch();
    let lab = up(dir.path(), LabSpec::new([node("n1", 11)])).expect("up");
    // One round trip for the connection, one for the banner.
    let time = || {
        let begin = Instant::now();
        let mut stream = lab.connect(ssh_address(&lab, "n1"), SHORT).expect("connected");
        let connected = begin.elapsed();
        stream.set_read_timeout(Some(SHORT)).expect("deadline");
        stream.read_exact(&mut [0; 4]).expect("banner");
        connected
    };
    time();
    lab.fault("n1", Fault::Delay(Delay::round_trip(Duration::from_millis(100)))).expect("slow");
    // The first packet may find the bridge still learning.
    time();
    let slow = time();
    assert!((100..160).contains(&slow.as_millis()), "{slow:?}");
    assert_eq!(said(&lab, "root", "n1", "head -c 2000000 /dev/zero | wc -c"), "2000000");
    lab.fault("n1", Fault::ClearDelay).expect("fast");
    let fast = time();
    assert!(fast.as_millis() < 50, "{fast:?}");
}
