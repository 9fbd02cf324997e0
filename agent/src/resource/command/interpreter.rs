//! What a command starts beside its first word: what `env` is to start, and the script that an interpreter is to read.

/// How the words before a script are read.
struct Flags {
    /// Flags behind which there is no script: the program is a word itself, or is read from the input.
    text: &'static str,
    /// Flags that take a word: the rest of their own, else the next one.
    take: &'static str,
    /// Flags that take the rest of their own word.
    attached: &'static str,
}

/// Long flags that take the next word.
const LONG: [&str; 5] = ["--rcfile", "--init-file", "--chdir", "--unset", "--argv0"];

fn flags(program: &str) -> Option<Flags> {
    let (text, take, attached) = match program.rsplit('/').next()? {
        "sh" | "bash" | "dash" => ("cs", "oO", ""),
        "python3" => ("cm", "WX", ""),
        "perl" => ("eE", "I", "iMmFxCDdV"),
        "env" => ("S", "uCa", ""),
        _ => return None,
    };
    Some(Flags { text, take, attached })
}

/// The words behind the flags of an interpreter, the script or program first; none where there is none.
fn behind_flags<'w>(flags: &Flags, mut words: &'w [String]) -> Option<&'w [String]> {
    let is_shell = flags.take.starts_with('o');
    while let [word, rest @ ..] = words {
        let mut flag = word.chars();
        match flag.next() {
            Some('-') => {}
            Some('+') if is_shell => {}
            _ => break,
        }
        words = rest;
        match word.as_str() {
            "--" => break,
            // For these the input is the program.
            "-" if flags.text.ends_with(['m', 'E']) => return None,
            "--split-string" => return None,
            long if long.starts_with("--") => {
                words = if LONG.contains(&long) { words.get(1..)? } else { words };
                continue;
            }
            _ => {}
        }
        while let Some(letter) = flag.next() {
            if flags.text.contains(letter) {
                return None;
            }
            if flags.take.contains(letter) {
                words = if flag.as_str().is_empty() || is_shell { words.get(1..)? } else { words };
            }
            if flags.attached.contains(letter) || flags.take.contains(letter) && !is_shell {
                break;
            }
        }
    }
    Some(words)
}

/// The programs that these words start, each as it is named there, and the script that the last of them reads.
pub(super) fn started(mut words: &[String]) -> (Vec<&str>, Option<&str>) {
    let mut names = Vec::new();
    while let [name, rest @ ..] = words {
        names.push(name.as_str());
        let Some(behind) = flags(name).and_then(|flags| behind_flags(&flags, rest)) else { break };
        if name.rsplit('/').next() != Some("env") {
            return (names, behind.first().map(String::as_str));
        }
        // Its settings of variables come before its program.
        words = &behind[behind.iter().take_while(|word| word.contains('=')).count()..];
    }
    (names, None)
}
