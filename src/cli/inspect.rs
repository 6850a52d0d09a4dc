//! Documents for `--format json` that are made of the model rather than stored in it.

use serde_json::{Value, json};

use crate::ops::ps::Description;

/// `msctl describe --format json`.
pub fn describe_json(description: &Description) -> Value {
    let Description { spec, status, settings, called_by, url, .. } = description;
    let settings: serde_json::Map<String, Value> = settings
        .iter()
        .map(|(name, setting)| {
            (name.clone(), json!({"value": setting.shown(name), "from": setting.layer.to_string()}))
        })
        .collect();
    json!({
        "schema": "msctl.describe/1",
        "service": spec.name.as_str(),
        "context": spec.context,
        "folder": spec.folder,
        "status": status,
        "url": url,
        "routes": spec.routes.iter().map(|r| json!({"path": r.prefix.as_str(), "access": r.access.to_string()})).collect::<Vec<_>>(),
        "calls": spec.calls.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "called_by": called_by,
        "limits": {
            "memory_bytes": spec.run.limits.memory.bytes(),
            "cpus": spec.run.limits.cpus.to_string(),
            "pids": spec.run.limits.pids,
        },
        "configuration": settings,
    })
}
