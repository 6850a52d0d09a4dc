//! The service that is edited: a folder whose build makes a program of one line of text.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::e2e::services::write_platform;
use crate::harness::responder::edited;

pub const NAME: &str = "shop";
pub const ROUTE: &str = "/shop";

/// How long an edition may take to get ready. It is enough for good ones on a busy machine.
pub const START_PERIOD: Duration = Duration::from_secs(5);

/// What becomes of an edition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    Serves,
    /// Would serve; the next one is saved at once,
    IsOvertakenAtOnce,
    /// or when the first of its instances takes requests.
    IsOvertakenMidway,
    DoesNotCompile,
    CrashesAtItsStart,
    NeverGetsReady,
    /// Would never get ready either; the next edition does not wait for that.
    IsOvertakenUnready,
    /// Gets ready, takes over, and ends a moment later.
    DiesSoon,
}

impl Fate {
    /// All but the usual one, which has to come next.
    pub const TROUBLES: [Self; 7] = [
        Self::DoesNotCompile,
        Self::IsOvertakenMidway,
        Self::CrashesAtItsStart,
        Self::DiesSoon,
        Self::IsOvertakenUnready,
        Self::NeverGetsReady,
        Self::IsOvertakenAtOnce,
    ];

    /// Whether anybody may hear of it.
    pub fn may_answer(self) -> bool {
        matches!(self.word(), "serves" | "dies")
    }

    fn word(self) -> &'static str {
        match self {
            Self::Serves | Self::IsOvertakenAtOnce | Self::IsOvertakenMidway => "serves",
            Self::DoesNotCompile => "srves",
            Self::CrashesAtItsStart => "crashes",
            Self::NeverGetsReady | Self::IsOvertakenUnready => "sulks",
            Self::DiesSoon => "dies",
        }
    }
}

/// As it is said of several.
impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Serves => "good",
            Self::IsOvertakenAtOnce => "overtaken at once",
            Self::IsOvertakenMidway => "overtaken midway",
            Self::DoesNotCompile => "that do not compile",
            Self::CrashesAtItsStart => "that crash at their start",
            Self::NeverGetsReady => "that never get ready",
            Self::IsOvertakenUnready => "overtaken before they were ready",
            Self::DiesSoon => "that end soon after they have taken over",
        })
    }
}

/// One state of the service's sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edition {
    pub number: u32,
    pub fate: Fate,
}

impl Edition {
    /// Saves it, as an editor does: whole, in place of the one before.
    pub fn save(self, platform: &Path) {
        let folder = folder(platform);
        let unfinished = folder.join(".source.txt.unfinished");
        fs::write(&unfinished, format!("{} {}\n", self.number, self.fate.word()))
            .expect("the folder is ours");
        fs::rename(unfinished, folder.join("source.txt")).expect("the folder is ours");
    }
}

fn folder(platform: &Path) -> std::path::PathBuf {
    platform.join("services").join(NAME)
}

/// Writes a platform of nothing but this service, at its first edition. Its limits are wide: where the machine
/// is busy for a moment, everything has to come late rather than to be refused.
pub fn write(platform: &Path, replicas: u16) -> Edition {
    write_platform(platform, "drop", &[]);
    let folder = folder(platform);
    fs::create_dir_all(&folder).expect("the folder is ours");
    fs::copy(edited(), folder.join("program")).expect("the program was just built");
    let compile = include_str!("../../fixtures/edited/compile");
    fs::write(folder.join("compile"), compile).expect("the folder is ours");
    let manifest = format!(
        "[service]\nname = \"{NAME}\"\n\
         [build]\nstrategy = \"pack\"\ncommand = \"sh compile\"\nartifact = \"$MSCTL_CACHE/edited\"\n\
         [run]\nreplicas = {replicas}\nstop_grace = \"2s\"\nhealth = {{ start_period = \"{}s\" }}\n\
         cpus = 2\npids = 4096\n\
         [traffic]\nmax_in_flight = 100000\n\
         [[routes]]\npath = \"{ROUTE}\"\naccess = \"public\"\nstrip_prefix = true\n",
        START_PERIOD.as_secs()
    );
    fs::write(folder.join("service.toml"), manifest).expect("the folder is ours");
    let first = Edition { number: 1, fate: Fate::Serves };
    first.save(platform);
    first
}
