//! What differs between two versions of a manifest, in the manifest's own words.

use std::collections::{BTreeMap, BTreeSet};

use super::platform::{Platform, ServiceSpec};

impl Platform {
    /// The fields that make an instance of `service` another one than that of `old` in `before`:
    /// `run.memory`, `configuration.CURRENCY`.
    #[must_use]
    pub fn differences(&self, service: &ServiceSpec, before: &Self, old: &ServiceSpec) -> BTreeSet<String> {
        let (run, old_run) = (&service.run, &old.run);
        let fields = [
            ("build", service.build != old.build),
            ("build.shared", service.shared != old.shared),
            ("process", service.process != old.process),
            ("run.port", run.port != old_run.port),
            ("run.memory", run.limits.memory != old_run.limits.memory),
            ("run.cpus", run.limits.cpus != old_run.limits.cpus),
            ("run.pids", run.limits.pids != old_run.limits.pids),
            ("calls", service.calls != old.calls),
            ("database", service.database != old.database),
            ("images.aliases", self.image_aliases != before.image_aliases),
        ];
        let fields = fields.into_iter().filter(|(_, differs)| *differs).map(|(field, _)| field.to_owned());
        let (new, old) = (variables(self, service), variables(before, old));
        let names: BTreeSet<&String> = new.keys().chain(old.keys()).copied().collect();
        let differing = names.into_iter().filter(|name| new.get(*name) != old.get(*name));
        fields.chain(differing.map(|name| format!("configuration.{name}"))).collect()
    }
}

/// What a service is configured with: the later of these win.
fn variables<'a>(platform: &'a Platform, service: &'a ServiceSpec) -> BTreeMap<&'a String, &'a String> {
    let of_files = service.env_files.iter().flat_map(|file| &file.variables);
    platform.configuration.iter().chain(of_files).chain(&service.configuration).collect()
}
