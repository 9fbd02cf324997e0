//! The slow link: two TAP devices between a node and the bridge, with every frame held, lost or paced on its way across.
//!
//! A kernel without netem cannot delay; a process can. TAPs and not packet sockets: the kernel segments and checksums for them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::pipe::{PipeFlags, pipe_with};

use super::child;
use super::error::LabError;
use super::net::{self, BRIDGE_LINK, link};
use super::spec::Delay;
use super::wire;

/// A paced frame that would wait longer than this is dropped, as a full queue would.
const QUEUE: Duration = Duration::from_millis(500);
/// Largest frame of a TAP whose device has the usual MTU, with room for tags.
const FRAME: usize = 2048;

/// A slowed link; dropped, the link is fast again.
#[derive(Debug)]
pub(crate) struct Relay {
    index: usize,
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Puts the relay into the link of the node at this index, under a running node.
    pub(crate) fn start(index: usize, delay: Delay) -> Result<Self, LabError> {
        let (near, far, island) = (format!("la{index}"), format!("lb{index}"), format!("lbs{index}"));
        let taps = [tap(&near)?, tap(&far)?];
        let (stopped, stop) = pipe_with(PipeFlags::CLOEXEC).map_err(LabError::system("make a pipe"))?;
        let thread = child::thread("start a thread for a slow link", move || carry(taps, &stopped, delay))?;
        let relay = Self { index, stop: Some(stop), thread: Some(thread) };
        net::ip_batch(&format!(
            "link add {island} type bridge\nlink set {island} up\nlink set {far} master {island} up\n\
             link set {near} master {BRIDGE_LINK} up\nlink set {} master {island}\n",
            link(index)
        ))?;
        Ok(relay)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // What cannot be undone here ends with the lab.
        let _ = net::ip(&["link", "set", &link(self.index), "master", BRIDGE_LINK]);
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = net::ip(&["link", "del", &format!("lbs{}", self.index)]);
    }
}

/// A frame on its way, ordered by when it is due and then by when it came.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    due: Instant,
    number: u64,
    /// Index of the TAP it leaves through.
    out: usize,
    frame: Vec<u8>,
}

/// Decides when a frame leaves. One for each direction.
#[derive(Debug)]
struct Direction {
    delay: Delay,
    /// When the wire is free again, where it is paced.
    free: Instant,
    /// The last frame's turn: jitter never lets one overtake another.
    last: Instant,
    random: u64,
}

impl Direction {
    fn new(delay: Delay, now: Instant, seed: u64) -> Self {
        Self { delay, free: now, last: now, random: seed }
    }

    /// Returns when a frame of this length leaves; `None` when it is lost.
    fn due(&mut self, now: Instant, length: usize) -> Option<Instant> {
        if self.delay.loss_percent > 0 && self.below(100) < u64::from(self.delay.loss_percent) {
            return None;
        }
        let mut start = now;
        if self.delay.rate_kbit > 0 {
            let begins = self.free.max(now);
            if begins.duration_since(now) > QUEUE {
                return None;
            }
            // bits / (kbit/s) are milliseconds.
            start = begins + Duration::from_secs_f64(length as f64 * 8.0 / (f64::from(self.delay.rate_kbit) * 1000.0));
            self.free = start;
        }
        let jitter = u64::try_from(self.delay.jitter.as_micros()).unwrap_or(u64::MAX / 4);
        let late = Duration::from_micros(if jitter == 0 { 0 } else { self.below(2 * jitter) });
        let due = (start + self.delay.one_way + late).checked_sub(self.delay.jitter).unwrap_or(start);
        self.last = self.last.max(due).max(start);
        Some(self.last)
    }

    /// A number below `limit`, from a fixed seed: the same link behaves the same each time (SplitMix64).
    fn below(&mut self, limit: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// Carries frames both ways until the stop pipe closes.
fn carry(mut taps: [File; 2], stopped: &OwnedFd, delay: Delay) {
    let begin = Instant::now();
    let mut directions = [Direction::new(delay, begin, 1), Direction::new(delay, begin, 2)];
    let mut held: BinaryHeap<Reverse<Held>> = BinaryHeap::new();
    let mut number = 0;
    let mut buffer = vec![0; FRAME];
    loop {
        while held.peek().is_some_and(|Reverse(next)| next.due <= Instant::now()) {
            if let Some(Reverse(next)) = held.pop() {
                // A full device queue loses the frame, as any wire would.
                let _ = taps[next.out].write(&next.frame);
            }
        }
        let wait = held.peek().map(|Reverse(next)| next.due.saturating_duration_since(Instant::now()));
        let Ok(ready) = wire::readable(&[stopped.as_fd(), taps[0].as_fd(), taps[1].as_fd()], wait) else { return };
        if ready[0] {
            return;
        }
        for source in (0..2).filter(|source| ready[source + 1]) {
            // A bounded batch, so that frames that are due are not kept waiting by a flood.
            for _ in 0..64 {
                let Ok(length) = taps[source].read(&mut buffer) else { break };
                if let Some(due) = directions[source].due(Instant::now(), length) {
                    number += 1;
                    held.push(Reverse(Held { due, number, out: 1 - source, frame: buffer[..length].to_vec() }));
                }
            }
        }
    }
}

/// Argument of TUNSETIFF: `struct ifreq` of <linux/if.h>, 40 bytes on every 64-bit Linux.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

/// Makes a TAP device; it goes with its file.
fn tap(name: &str) -> Result<File, LabError> {
    const TUNSETIFF: rustix::ioctl::Opcode = 0x4004_54ca;
    const IFF_TAP: u16 = 0x0002;
    const IFF_NO_PI: u16 = 0x1000;
    let device = Path::new("/dev/net/tun");
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).write(true).custom_flags(nonblocking).open(device).map_err(LabError::file("open", device))?;
    let mut request = InterfaceRequest { name: [0; 16], flags: IFF_TAP | IFF_NO_PI, rest: [0; 22] };
    let room = request.name.len() - 1;
    for (slot, byte) in request.name[..room].iter_mut().zip(name.bytes()) {
        *slot = byte;
    }
    // SAFETY: TUNSETIFF reads and writes one `struct ifreq`; `InterfaceRequest` has its size and layout (tuntap(4) in
    // linux/Documentation/networking/tuntap.rst) and lives through the call.
    #[expect(unsafe_code, reason = "rustix has no safe call for TUNSETIFF")]
    let made = unsafe { rustix::ioctl::ioctl(&file, rustix::ioctl::Updater::<TUNSETIFF, _>::new(&mut request)) };
    made.map_err(LabError::system("make a TAP device"))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direction(delay: Delay) -> (Direction, Instant) {
        let now = Instant::now();
        (Direction::new(delay, now, 7), now)
    }

    #[test]
    fn a_frame_leaves_after_its_delay_and_never_before_the_one_ahead() {
        let (mut direction, now) =
            direction(Delay { one_way: Duration::from_millis(10), jitter: Duration::from_millis(5), ..Delay::default() });
        let mut last = now;
        for step in 0..1000 {
            let now = now + Duration::from_micros(step * 10);
            let due = direction.due(now, 100).expect("not lost");
            assert!(due >= last && due <= now + Duration::from_millis(15) + Duration::from_millis(10));
            last = due;
        }
        assert!(last >= now + Duration::from_millis(15));
    }

    #[test]
    fn a_paced_wire_spaces_frames_and_drops_past_its_queue() {
        let (mut direction, now) = direction(Delay { rate_kbit: 80, ..Delay::default() });
        assert_eq!(direction.due(now, 1000), Some(now + Duration::from_millis(100)));
        assert_eq!(direction.due(now, 1000), Some(now + Duration::from_millis(200)));
        let kept = (0..20).filter(|_| direction.due(now, 1000).is_some()).count();
        assert_eq!(kept, 4, "half a second of queue");
    }

    #[test]
    fn loss_is_near_what_was_asked_for() {
        let (mut direction, now) = direction(Delay { loss_percent: 20, ..Delay::default() });
        let lost = (0..10_000).filter(|_| direction.due(now, 100).is_none()).count();
        assert!((1800..2200).contains(&lost), "{lost}");
    }
}
