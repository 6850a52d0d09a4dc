//! `service.toml`: one service, checked as far as it can be on its own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::model::name::ServiceName;
use crate::model::platform::{Build, Database, ProcessRecipe, Run, ServiceSpec};
use crate::model::route::Route;
use crate::model::traffic::TrafficPolicy;

use super::env_file::EnvDraft;
use super::ground::Ground;
use super::problems::Problems;
use super::section::Section;
use super::source::{Located, Source};
use super::suggestion::{did_you_mean, similar_name};
use super::values::Value;
use super::variables::{self, Variables};
use super::{build_section, routes_section, run_section, syntax, traffic_section};

pub use crate::model::platform::SERVICE_FILE;

/// A service whose place among the others is not checked yet. What those checks look at keeps its
/// place.
pub struct Draft {
    pub name: Located<ServiceName>,
    pub folder: PathBuf,
    pub routes: Vec<Located<Route>>,
    pub calls: Vec<Located<ServiceName>>,
    pub shared: Vec<Located<PathBuf>>,
    pub env_files: Vec<EnvDraft>,
    pub configuration: Variables,
    context: Option<String>,
    build: Build,
    process: Option<ProcessRecipe>,
    run: Run,
    traffic: TrafficPolicy,
    database: Database,
}

impl Draft {
    pub fn into_spec(self) -> ServiceSpec {
        ServiceSpec {
            name: self.name.value,
            context: self.context,
            folder: self.folder,
            build: self.build,
            shared: self.shared.into_iter().map(|folder| folder.value).collect(),
            process: self.process,
            run: self.run,
            routes: self.routes.into_iter().map(|route| route.value).collect(),
            traffic: self.traffic,
            calls: self.calls.into_iter().map(|call| call.value).collect(),
            database: self.database,
            env_files: self.env_files.into_iter().map(EnvDraft::into_file).collect(),
            configuration: variables::without_places(self.configuration),
        }
    }
}

/// `None` where not even the service's name can be told. `root` is the platform's folder.
pub fn read(source: &Rc<Source>, root: &Path, folder: PathBuf, problems: &Problems) -> Option<Draft> {
    let ground = Ground { root, folder: &folder };
    let tree = syntax::parse(source, problems)?;
    let mut file = Section::of_file(tree, source, problems);
    let (name, context) = read_service(file.section("service"));
    let (build, shared) = build_section::read(file.section("build"), ground);
    let process = file.take("process").and_then(Value::section).and_then(build_section::read_process);
    let (run, env_files) = run_section::read(file.section("run"), ground);
    let routes = routes_section::read(file.take("routes"));
    let traffic = traffic_section::read(file.section("traffic"));
    let calls = read_calls(file.section("calls"));
    let database = file.take("database").and_then(Value::section).map_or(Database::None, read_database);
    let configuration = variables::read(file.section("configuration"));
    file.close();
    Some(Draft {
        name: name?,
        folder,
        routes,
        calls,
        shared,
        env_files,
        configuration,
        context,
        build,
        process,
        run,
        traffic,
        database,
    })
}

fn read_service(mut section: Section<'_>) -> (Option<Located<ServiceName>>, Option<String>) {
    let name = section.require("name", "\"order\"").and_then(|value| read_name(value, "\"order\""));
    let context = section.take("context").and_then(|value| value.filled_text("\"ordering\""));
    section.close();
    (name, context.map(|context| context.value))
}

fn read_name(value: Value<'_>, example: &str) -> Option<Located<ServiceName>> {
    value.parsed(example, |text| format!("for example {:?}", similar_name(text)))
}

fn read_calls(mut section: Section<'_>) -> Vec<Located<ServiceName>> {
    let example = "[\"product\"]";
    let problems = section.problems;
    let elements = section.take("services").and_then(|value| value.list(example));
    section.close();
    let mut seen = BTreeSet::new();
    let mut calls = Vec::new();
    let elements = elements.unwrap_or_default().into_iter();
    for call in elements.filter_map(|element| read_name(element, example)) {
        if seen.insert(call.value.clone()) {
            calls.push(call);
        } else {
            problems.report(
                &call.place,
                format!("\"{}\" is listed twice", call.value),
                "keep one of the two",
            );
        }
    }
    calls
}

fn read_database(mut section: Section<'_>) -> Database {
    let problems = section.problems;
    let engine = section.require("engine", "\"sqlite\"").and_then(|value| value.text("\"sqlite\""));
    section.close();
    let Some(engine) = engine else { return Database::None };
    let (message, hint) = match engine.value.as_str() {
        "none" => return Database::None,
        "sqlite" => return Database::Sqlite,
        "postgres" => (
            "this version has no \"postgres\"".to_owned(),
            "it offers engine = \"sqlite\" and engine = \"none\"".to_owned(),
        ),
        other => (
            format!("{other:?} is not a database engine"),
            did_you_mean(other, "the engines", &["sqlite", "none"]),
        ),
    };
    problems.report(&engine.place, message, hint);
    Database::None
}
