//! An image booted in an emulated machine, as its owner would boot it: under BIOS or UEFI, with a way in and a deadline.

mod machine;
mod qemu;

pub use machine::Machine;
pub use qemu::{Accelerator, BootFirmware, BootSpec, available};
