//! sudo-rs in sudo's place, as some distributions have it: asked like sudo, and its refusals known by what it really says.

use super::password::{RIGHT, WRONG, with_password};
use super::{SMALL, field_of};
use ostler::lab::{LabNode, Suite};
use std::net::Ipv4Addr;

#[test]
fn sudo_rs_makes_root_like_sudo_and_its_refusals_are_known() {
    let node = LabNode::new("n1", Suite::Trixie, Ipv4Addr::new(10, 78, 0, 21));
    let field = field_of([node.with_sudo_password(RIGHT).with_packages(["sudo-rs"])], SMALL);
    field.run("n1", "mv /usr/bin/sudo /usr/bin/sudo.other && ln -s sudo-rs /usr/bin/sudo");
    assert!(field.said("n1", "sudo --version 2>&1").starts_with("sudo-rs "));
    let none = field.apply();
    assert!(none.code == 1 && none.trouble("n1").contains("sudo asks for the password of admin"), "{none}");
    let wrong = with_password(&field, WRONG);
    assert!(wrong.code == 1 && wrong.trouble("n1").contains("sudo does not take the password of admin"), "{wrong}");
    for (made, said, hint) in [
        ("chmod 666 /etc/sudoers", "sudo cannot read its rules", "visudo -c"),
        (
            "chmod 440 /etc/sudoers; rm /etc/sudoers.d/*; gpasswd -q -d admin sudo || true",
            "sudo does not allow the login account",
            "NOPASSWD",
        ),
        (
            "echo 'admin ALL=(ALL) ALL' >/etc/sudoers.d/admin; chmod u-s /usr/bin/sudo-rs",
            "sudo on the node is not setuid root",
            "chmod 4755",
        ),
    ] {
        field.run("n1", made);
        let refused = with_password(&field, RIGHT);
        let trouble = &refused.of("trouble", Some("n1"))[0];
        let told = [&trouble["chain"][0], &trouble["hint"]].map(|value| value.as_str().unwrap_or_default());
        assert!(refused.code == 1 && told[0].contains(said) && told[1].contains(hint), "{made}: {refused}");
    }
    field.run("n1", "chmod u+s /usr/bin/sudo-rs");
    with_password(&field, RIGHT).assert_changed(2);
    field.run("n1", "echo 'admin ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin");
    field.apply().assert_changed(0);
}
