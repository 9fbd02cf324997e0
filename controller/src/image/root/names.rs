//! Names that no name server knows: `localhost`, what this machine's /etc/hosts has, and short names, which it completes itself. A root tree asks
//! for them as for all others, and has no file of ours for it.

use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};

/// Question types and the class (RFC 1035, 3.2.2 and 3.2.4; RFC 3596).
const A: u16 = 1;
const AAAA: u16 = 28;
const IN: u16 = 1;
/// The length of a message's header (RFC 1035, 4.1.1).
const HEADER: usize = 12;
/// How long an answer holds: no longer than a build asks twice.
const SECONDS: u32 = 5;

/// A question for the addresses of one name.
#[derive(Debug, PartialEq, Eq)]
struct Question {
    name: String,
    kind: u16,
    /// Where it ends in its message.
    end: usize,
}

/// Answers a question that is this machine's to answer. None: it is for a name server.
pub(super) fn answer(message: &[u8], hosts: &str) -> Option<Vec<u8>> {
    let question = read(message)?;
    let addresses = match question.name.as_str() {
        "localhost" => vec![Ipv4Addr::LOCALHOST],
        name => match listed(name, hosts) {
            listed if !listed.is_empty() => listed,
            // By the C library: its search list, and whatever else this machine is set up with.
            _ if !name.contains('.') => (name, 0).to_socket_addrs().ok()?.filter_map(|address| outer(address.ip())).collect(),
            _ => return None,
        },
    };
    Some(write(message, &question, &addresses))
}

/// The addresses of a name in a hosts(5) file that are not the machine's own.
fn listed(name: &str, hosts: &str) -> Vec<Ipv4Addr> {
    let line = |line: &str| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then(|| outer(address))?
    };
    hosts.lines().filter_map(line).collect()
}

fn outer(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) if !address.is_loopback() && !address.is_unspecified() => Some(address),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

/// Reads a message with one question for addresses; anything else is for a name server.
fn read(message: &[u8]) -> Option<Question> {
    let word = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
    let is_query = message.get(2)? & 0xf8 == 0;
    if !is_query || word(4)? != 1 {
        return None;
    }
    let (mut at, mut labels) = (HEADER, Vec::new());
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        match length {
            0 => break,
            1..=63 => labels.push(std::str::from_utf8(message.get(at..at + length)?).ok()?.to_ascii_lowercase()),
            _ => return None,
        }
        at += length;
    }
    let (kind, class) = (word(at)?, word(at + 2)?);
    let is_ours = matches!(kind, A | AAAA) && class == IN && !labels.is_empty();
    is_ours.then(|| Question { name: labels.join("."), kind, end: at + 4 })
}

/// Writes the answer: none to who asks for IPv6, which a root tree has not.
fn write(message: &[u8], question: &Question, addresses: &[Ipv4Addr]) -> Vec<u8> {
    let addresses = if question.kind == A { addresses } else { &[] };
    let count = u16::try_from(addresses.len().min(32)).unwrap_or_default();
    let mut answer = message[..2].to_vec();
    // An answer with authority; recursion as it was asked for, and there.
    answer.extend([0x84 | (message[2] & 1), 0x80, 0, 1]);
    answer.extend(count.to_be_bytes());
    answer.extend([0; 4]);
    answer.extend(&message[HEADER..question.end]);
    for address in &addresses[..usize::from(count)] {
        // The name is the question's (RFC 1035, 4.1.4).
        answer.extend([0xc0, 12]);
        answer.extend(A.to_be_bytes());
        answer.extend(IN.to_be_bytes());
        answer.extend(SECONDS.to_be_bytes());
        answer.extend([0, 4]);
        answer.extend(address.octets());
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: &str, kind: u16) -> Vec<u8> {
        let mut message = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            message.push(u8::try_from(label.len()).unwrap());
            message.extend(label.as_bytes());
        }
        message.push(0);
        message.extend(kind.to_be_bytes());
        message.extend(IN.to_be_bytes());
        message
    }

    const HOSTS: &str =
        "127.0.0.1 localhost builder\n127.0.1.1 builder.ci.example\n10.0.0.9 mirror.ci.example mirror # ours\n::1 localhost\n";

    #[test]
    fn what_only_this_machine_knows_is_answered_and_never_its_own_names() {
        let answered = answer(&asked("Mirror.CI.example", A), HOSTS).unwrap();
        assert_eq!((&answered[..8], &answered[answered.len() - 4..]), (&[0xab, 0xcd, 0x85, 0x80, 0, 1, 0, 1][..], &[10, 0, 0, 9][..]));
        assert!(answer(&asked("localhost", A), HOSTS).unwrap().ends_with(&[127, 0, 0, 1]));
        let none = answer(&asked("mirror", AAAA), HOSTS).unwrap();
        assert_eq!((none[7], none.len()), (0, asked("mirror", AAAA).len()));
        for others in ["builder.ci.example", "deb.example.org"] {
            assert_eq!(answer(&asked(others, A), HOSTS), None, "{others}");
        }
        assert_eq!(answer(&asked("mirror", 15), HOSTS), None, "a mail server is asked of a name server");
    }

    #[test]
    fn no_message_makes_it_panic() {
        let whole = asked("mirror.ci.example", A);
        for end in 0..whole.len() {
            assert_eq!(answer(&whole[..end], HOSTS), None, "{end}");
        }
        for at in 0..whole.len() {
            for byte in [0, 63, 64, 192, 255] {
                let mut message = whole.clone();
                message[at] = byte;
                let _ = read(&message);
            }
        }
    }
}
