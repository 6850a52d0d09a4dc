//! Which processes of a test are there.

use std::fs;
use std::path::Path;

/// Every process that has to do with a folder, by its command line, its place or its environment.
pub fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let read = |file: &str| fs::read(entry.path().join(file)).unwrap_or_default();
        let command = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
        let place = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&read("environ")).into_owned();
        if [command.as_str(), &place.to_string_lossy(), &environment]
            .iter()
            .any(|text| text.contains(&folder))
        {
            found.push(format!("{name} {command}"));
        }
    }
    found
}
