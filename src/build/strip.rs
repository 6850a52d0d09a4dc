//! A program without what only debuggers read (elf(5)): a smaller image is there sooner, and moving a
//! comment makes no other program. The names of functions stay, for backtraces.

/// `SHF_ALLOC`: part of the running program.
const ALLOCATED: u64 = 2;
/// `SHT_NULL` and `SHT_NOBITS`: nothing of it is in the file.
const WITHOUT_CONTENT: [u32; 2] = [0, 8];
const HEADER: usize = 64;
const NAMES: [&[u8]; 2] = [b".debug_", b".zdebug_"];

/// The program without its debug sections; as it is where there are none, or it is not understood.
pub fn strip(program: Vec<u8>) -> Vec<u8> {
    stripped(&program).unwrap_or(program)
}

/// Everything up to the first section that is not loaded stays where it is. The others move
/// together; their headers keep their places, because others refer to them by number.
fn stripped(program: &[u8]) -> Option<Vec<u8>> {
    if program.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let sections = sections(program)?;
    let is_apart =
        |section: &&Section| section.flags & ALLOCATED == 0 && !WITHOUT_CONTENT.contains(&section.kind);
    let mut apart: Vec<&Section> = sections.iter().filter(is_apart).collect();
    apart.sort_by_key(|section| section.offset);
    let start = apart.first()?.offset;
    let loaded_after = |section: &Section| {
        section.flags & ALLOCATED != 0 && !WITHOUT_CONTENT.contains(&section.kind) && section.offset >= start
    };
    if sections.iter().any(loaded_after)
        || end_of_segments(program)? > start
        || !apart.iter().any(|it| it.is_debug)
    {
        return None;
    }
    let mut kept = program.get(..start)?.to_vec();
    let mut headers = headers(program)?.to_vec();
    for section in apart {
        let header = headers.get_mut(section.index * HEADER..(section.index + 1) * HEADER)?;
        if section.is_debug {
            header.fill(0);
            continue;
        }
        align(&mut kept, section.alignment);
        header[24..32].copy_from_slice(&(kept.len() as u64).to_le_bytes());
        kept.extend_from_slice(program.get(section.offset..section.offset.checked_add(section.size)?)?);
    }
    align(&mut kept, 8);
    let table = (kept.len() as u64).to_le_bytes();
    kept.get_mut(40..48)?.copy_from_slice(&table);
    kept.extend_from_slice(&headers);
    Some(kept)
}

struct Section {
    index: usize,
    kind: u32,
    flags: u64,
    offset: usize,
    size: usize,
    alignment: usize,
    is_debug: bool,
}

fn sections(program: &[u8]) -> Option<Vec<Section>> {
    let headers = headers(program)?;
    let names_at = usize::from(u16_at(program, 62)?) * HEADER;
    let names = usize_at(headers, names_at + 24)?;
    let sections = headers.chunks_exact(HEADER).enumerate().map(|(index, header)| {
        let name = program.get(names.checked_add(u32_at(header, 0)? as usize)?..)?;
        Some(Section {
            index,
            kind: u32_at(header, 4)?,
            flags: u64_at(header, 8)?,
            offset: usize_at(header, 24)?,
            size: usize_at(header, 32)?,
            alignment: usize_at(header, 48)?,
            is_debug: NAMES.iter().any(|debug| name.starts_with(debug)),
        })
    });
    sections.collect()
}

fn headers(program: &[u8]) -> Option<&[u8]> {
    if usize::from(u16_at(program, 58)?) != HEADER {
        return None;
    }
    let start = usize_at(program, 40)?;
    program.get(start..start.checked_add(usize::from(u16_at(program, 60)?) * HEADER)?)
}

/// Where the last of what is loaded ends.
fn end_of_segments(program: &[u8]) -> Option<usize> {
    let (table, size, count) = (usize_at(program, 32)?, u16_at(program, 54)?, u16_at(program, 56)?);
    let ends = (0..usize::from(count)).map(|index| {
        let header = program.get(table.checked_add(index * usize::from(size))?..)?;
        usize_at(header, 8)?.checked_add(usize_at(header, 32)?)
    });
    let ends: Option<Vec<usize>> = ends.collect();
    Some(ends?.into_iter().max().unwrap_or(0))
}

fn align(bytes: &mut Vec<u8>, alignment: usize) {
    // A damaged file must not make us ask for all the memory there is.
    let alignment = alignment.clamp(1, 4096);
    bytes.resize(bytes.len().next_multiple_of(alignment), 0);
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

fn usize_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u64_at(bytes, at)?).ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::build::elf;

    /// A program that is this test itself: one with debug sections.
    fn ourselves() -> Vec<u8> {
        std::env::current_exe().and_then(std::fs::read).expect("a test can read itself")
    }

    #[test]
    fn a_stripped_program_runs_and_is_smaller() {
        let whole = ourselves();
        let stripped = strip(whole.clone());
        assert!(stripped.len() < whole.len(), "{} and {}", stripped.len(), whole.len());
        assert_eq!(strip(stripped.clone()), stripped, "there is nothing left to strip");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stripped");
        std::fs::write(&path, &stripped).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let ran = std::process::Command::new(path).arg("--list").output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
        assert!(String::from_utf8_lossy(&ran.stdout).contains("a_stripped_program_runs_and_is_smaller"));
    }

    #[test]
    fn what_is_not_understood_stays_as_it_is() {
        for program in [Vec::new(), b"#!/bin/sh".to_vec(), elf::sample(None), elf::sample(Some("/lib/ld.so"))]
        {
            assert_eq!(strip(program.clone()), program);
        }
    }

    #[test]
    fn damaged_programs_are_no_danger() {
        let whole = ourselves();
        let start = whole[..HEADER].to_vec();
        let table = usize_at(&whole, 40).unwrap();
        for at in 0..HEADER {
            let mut damaged = start.clone();
            damaged[at] ^= 0xff;
            // Must not panic: the file ends after its header, or its numbers lead anywhere.
            let _ = strip(damaged);
        }
        for cut in [HEADER, table, table + 10, whole.len() - 1] {
            let _ = strip(whole[..cut].to_vec());
        }
    }
}
