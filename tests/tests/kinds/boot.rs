//! A machine with its own kernel, started again: what a plan said of its next boot is so.

use ostler::lab::Fault;
use ostler_tests::site::Site;
use serde_json::{Value, json};

const BEFORE: &str = "
echo vm.swappiness=99 > /etc/sysctl.d/99-sysctl.conf
echo 'blacklist br_netfilter' > /etc/modprobe.d/no.conf
modprobe loop; echo loop > /etc/modules-load.d/admin.conf
sync";

/// What the kernel has, and not what files say.
const KERNEL: &str = "cat /proc/sys/vm/swappiness; cut -d' ' -f1 /proc/modules | grep -E '^(loop|br_netfilter)$' || echo none";

#[test]
fn after_a_boot_settings_and_modules_are_what_the_plan_said_whatever_other_files_say() {
    let nodes = "nodes:\n  n1: {host: 10.78.0.11, roles: [boot]}\n";
    let site = Site::up(crate::SSH, nodes, [crate::node().as_vm()]);
    site.sh("n1", BEFORE);
    let role = |steps: &[Value]| crate::write_role(&site, "boot", &[], &steps.iter().collect::<Vec<_>>());
    let wanted = json!({"kernel_module": {"name": "br_netfilter"}});
    role(std::slice::from_ref(&wanted));
    let refused = site.apply().good_with(6);
    let (_, why) = refused.impossible("n1").remove(0);
    assert!(why.contains("/etc/modprobe.d/no.conf:1 says `blacklist br_netfilter`"), "{why}");

    let allowed = json!({"line": {"path": "/etc/modprobe.d/no.conf", "line": "blacklist br_netfilter", "absent": true}});
    let gone = json!({"kernel_module": {"name": "loop", "absent": true}});
    let setting = json!({"sysctl": {"name": "vm.swappiness", "value": "10"}});
    role(&[allowed, wanted, gone, setting]);
    site.apply().good();
    assert_eq!(site.sh("n1", KERNEL), "10\nbr_netfilter");
    site.apply().nothing_to_do();
    site.lab().fault("n1", Fault::PowerCut).unwrap();
    site.lab().fault("n1", Fault::PowerOn).unwrap();
    assert_eq!(site.sh("n1", KERNEL), "10\nbr_netfilter");
    site.apply().nothing_to_do();
}
