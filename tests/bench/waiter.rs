//! Waits for a file and becomes the program that its second argument names: what would stand by for the
//! next version of a service.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

/// Looked at, and not watched: the least that works in an empty image.
const PAUSE: Duration = Duration::from_millis(1);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, sign, program] = arguments.as_slice() else { panic!("waiter SIGN PROGRAM") };
    while !Path::new(sign).exists() {
        sleep(PAUSE);
    }
    panic!("{program}: {}", Command::new(program).exec());
}
