//! The rules: change them together with ARCHITECTURE.md.

/// One folder (or file) directly below `src/`.
pub struct Room {
    pub name: &'static str,
    /// All that it may import of ours. Each of these stands further down.
    pub imports: &'static [&'static str],
    /// What the room is, which is why it needs no more.
    pub purpose: &'static str,
}

/// An outside name and the only places that know it.
pub struct Confined {
    pub name: &'static str,
    /// Files or folders; everything below a folder counts.
    pub places: &'static [&'static str],
    pub because: &'static str,
}

/// A place that stays free of some outside names.
pub struct Free {
    pub place: &'static str,
    pub of: &'static [&'static str],
    pub because: &'static str,
}

pub struct Rules {
    pub rooms: &'static [Room],
    pub confined: &'static [Confined],
    pub free: &'static [Free],
}

pub const RULES: Rules = Rules { rooms: ROOMS, confined: CONFINED, free: FREE };

const fn room(name: &'static str, imports: &'static [&'static str], purpose: &'static str) -> Room {
    Room { name, imports, purpose }
}

/// From top to bottom: every arrow points down.
#[rustfmt::skip]
const ROOMS: &[Room] = &[
    room("main", &["cli"], "parses, runs, ends"),
    room("lib", &[], "only declares the rooms"),

    room("cli", &["ops", "ui", "model", "standalone", "admin", "auth", "logs", "runtime", "store"],
        "one file a verb; of the rooms below ops it only names what ops takes and gives"),
    room("ui", &["model"], "how things look; meets ops in model alone"),

    room("ops", &["platform", "standalone", "handover", "engine", "manifest", "scaffold", "admin", "auth", "certificates",
        "configuration", "logs",
        "runtime", "model"],
        "the story of each verb"),

    room("platform", &["engine", "plan", "watch", "build", "gateway", "handover", "registry", "auth", "certificates", "admin", "configuration", "manifest",
        "runtime", "store", "model"],
        "the composition root: the only room that names all parts of a running platform"),

    room("standalone", &["gateway", "handover", "auth", "certificates", "probe", "model"],
        "the other composition root: the gateway without a platform"),

    room("engine", &["plan", "build", "runtime", "probe", "model"],
        "observe, plan, execute; reaches traffic through ports of its own"),
    room("plan", &["model"], "the decision, pure"),
    room("watch", &["build", "model"], "saved files to services; what a source is, build says"),
    room("build", &["runtime", "model"], "sources to something that a runtime runs"),

    // Siblings: none of these imports another.
    room("gateway", &["model"], "the data plane; is given a verifier and a route table, so it could run alone"),
    room("handover", &[], "open sockets to the process that replaces this one; knows nothing of what they are for"),
    room("registry", &["model"], "which instances are there"),
    room("auth", &["store", "model"], "keys, tokens, accounts"),
    room("certificates", &["store", "model"], "what the public door proves itself with"),
    room("admin", &["model"], "the control socket: wire, client, server"),
    room("configuration", &["model"], "what a service is told"),
    room("logs", &["runtime", "model"], "the lines that a runtime keeps, merged"),
    room("manifest", &["model"], "files to a valid platform"),
    room("scaffold", &["model"], "templates to files"),

    room("runtime", &["model"], "the port to where instances run, and what is behind it"),
    room("probe", &["model"], "one question to an instance"),
    room("store", &["model"], "the database and what must be kept secret"),
    room("model", &[], "nouns; imports nothing of ours"),
];

#[rustfmt::skip]
const CONFINED: &[Confined] = &[
    Confined { name: "bollard", places: &["src/runtime/docker"],
        because: "everything else reaches containers through the trait Runtime" },
    Confined { name: "axum", places: &["src/auth/http", "src/auth/http.rs", "src/auth/facade.rs",
        "src/auth/problem.rs", "src/admin/server.rs", "src/platform/opening.rs"],
        because: "it serves our own endpoints; the gateway's data path is hyper alone" },
    Confined { name: "h2", places: &["src/gateway"],
        because: "why a stream was reset concerns the data plane alone" },
    Confined { name: "clap", places: &["src/cli", "src/main.rs"],
        because: "how a command line is written concerns nobody else" },
    Confined { name: "rusqlite", places: &["src/store"],
        because: "typed access is the store's; SQL is nobody else's" },
    Confined { name: "rustls", places: &["src/certificates", "src/gateway/tls.rs", "src/gateway/tests/tls.rs",
        "src/platform/certificates.rs"],
        because: "one place makes certificates, one presents them" },
    Confined { name: "rcgen", places: &["src/certificates", "src/gateway/tests/tls.rs"],
        because: "nobody else makes certificates" },
    Confined { name: "indicatif", places: &["src/ui"], because: "ui is how things look" },
    Confined { name: "comfy_table", places: &["src/ui"], because: "ui is how things look" },
    Confined { name: "handlebars", places: &["src/scaffold"], because: "only scaffolding renders" },
    Confined { name: "notify", places: &["src/watch/ears.rs"],
        because: "everything else hears through the trait Ears" },
    Confined { name: "flate2", places: &["src/gateway/gzip.rs", "src/gateway/tests/compressing.rs"],
        because: "only what faces browsers compresses" },
    Confined { name: "println!", places: &[], because: "only ui::Printer writes" },
    Confined { name: "eprintln!", places: &[], because: "only ui::Printer writes" },
    Confined { name: "print!", places: &[], because: "only ui::Printer writes" },
    Confined { name: "eprint!", places: &[], because: "only ui::Printer writes" },
    Confined { name: "process::exit", places: &[],
        because: "main returns an exit code, after everything was dropped" },
];

#[rustfmt::skip]
const FREE: &[Free] = &[
    Free { place: "src/model", of: &["tokio", "axum", "hyper", "bollard", "clap", "async_trait"],
        because: "nouns neither wait nor talk" },
    Free { place: "src/plan", of: &["tokio", "axum", "hyper", "bollard", "clap", "async_trait"],
        because: "the decision is pure" },
    Free { place: "src/engine", of: &["axum", "bollard"],
        because: "the engine knows neither an HTTP server nor a container engine" },
    Free { place: "src/ops", of: &["clap", "indicatif", "comfy_table"],
        because: "ops has no command line and no colours" },
];
