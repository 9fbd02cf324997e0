//! Listens on an address inside a lab and hands every connection to a Unix socket outside: `lab-door ADDRESS SOCKET`. For tests alone.

use std::io::{Read, Write, copy};
use std::net::{Shutdown, TcpListener};
use std::os::unix::net::UnixStream;

fn main() -> std::io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [address, socket] = words.as_slice() else { return Err(std::io::Error::other("lab-door ADDRESS SOCKET")) };
    for inside in TcpListener::bind(address)?.incoming() {
        let (mut inside, mut outside) = (inside?, UnixStream::connect(socket)?);
        let (mut back_in, mut back_out) = (inside.try_clone()?, outside.try_clone()?);
        std::thread::spawn(move || {
            // Either end may go first; the other is then told, and that is all.
            let _ = copy(&mut inside as &mut dyn Read, &mut outside as &mut dyn Write);
            let _ = outside.shutdown(Shutdown::Write);
        });
        std::thread::spawn(move || {
            let _ = copy(&mut back_out as &mut dyn Read, &mut back_in as &mut dyn Write);
            let _ = back_in.shutdown(Shutdown::Write);
        });
    }
    Ok(())
}
