//! The power of a machine with its own kernel and disk goes in mid-run.

use super::{AT_GATE, GUARDED, OPEN, at_the_gate, field_of, node};
use ostler::lab::Fault;

#[test]
fn after_a_power_cut_the_next_run_goes_on_and_restarts_what_was_owed() {
    let field = field_of([node("vm", 31).as_vm()], GUARDED);
    at_the_gate::settle(&field);
    let running = field.start_apply();
    field.wait_for("vm", AT_GATE);
    field.lab().fault("vm", Fault::PowerCut).expect("cut");
    // Nobody is left who could say goodbye: the controller finds out by itself, or is killed here.
    drop(running);
    field.lab().fault("vm", Fault::PowerOn).expect("on");
    assert_eq!(field.said("vm", "cat /etc/before-gate; test -e /srv/passed || echo closed"), "changed\nclosed");
    // At boot the service started by itself.
    field.wait_for("vm", "test \"$(wc -l < /srv/starts)\" = 2");

    field.run("vm", OPEN);
    let again = field.apply();
    assert_eq!(again.code, 0, "{again}");
    assert!(!again.changed("vm").contains(&"file /etc/before-gate".to_owned()), "durable before it was owed: {again}");
    assert_eq!(field.said("vm", "cat /srv/starts"), "before\nchanged\nchanged", "{again}");
    field.apply().assert_changed(0);
}
