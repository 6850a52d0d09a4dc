//! Whether a program can run alone: what its ELF header says (elf(5)).

/// What is known about a program for 64-bit Linux.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elf {
    /// The engine's name for the processor.
    pub architecture: &'static str,
    pub linkage: Linkage,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Linkage {
    Static,
    /// Needs this loader, and the libraries that it will look for.
    Dynamic {
        interpreter: String,
    },
}

const PT_INTERP: u32 = 3;

/// `None` where it is no 64-bit little-endian ELF program for a processor that engines know.
pub fn parse(program: &[u8]) -> Option<Elf> {
    // Class 2 is 64-bit, data 1 is little-endian.
    if program.get(..4)? != b"\x7fELF" || *program.get(4)? != 2 || *program.get(5)? != 1 {
        return None;
    }
    let architecture = match u16_at(program, 18)? {
        62 => "amd64",
        183 => "arm64",
        243 => "riscv64",
        _ => return None,
    };
    let table = usize::try_from(u64_at(program, 32)?).ok()?;
    let (entry_size, entries) = (usize::from(u16_at(program, 54)?), usize::from(u16_at(program, 56)?));
    let interpreter = (0..entries)
        .filter_map(|index| program.get(table.checked_add(index * entry_size)?..))
        .find(|header| u32_at(header, 0) == Some(PT_INTERP));
    let linkage = match interpreter {
        None => Linkage::Static,
        Some(header) => Linkage::Dynamic { interpreter: interpreter_of(program, header)? },
    };
    Some(Elf { architecture, linkage })
}

fn interpreter_of(program: &[u8], header: &[u8]) -> Option<String> {
    let offset = usize::try_from(u64_at(header, 8)?).ok()?;
    let size = usize::try_from(u64_at(header, 32)?).ok()?;
    let name = program.get(offset..offset.checked_add(size)?)?;
    Some(String::from_utf8_lossy(name).trim_end_matches('\0').to_owned())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// A small valid program header table, for tests of whoever uses this.
#[cfg(test)]
pub fn sample(interpreter: Option<&str>) -> Vec<u8> {
    let mut program = vec![0u8; 64 + 56];
    program[..6].copy_from_slice(b"\x7fELF\x02\x01");
    program[18] = 62;
    program[32] = 64;
    program[54] = 56;
    program[56] = 1;
    if let Some(name) = interpreter {
        program[64] = 3;
        program[64 + 8] = 120;
        program[64 + 32] = u8::try_from(name.len() + 1).unwrap();
        program.extend_from_slice(name.as_bytes());
        program.push(0);
    }
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_without_an_interpreter_is_static() {
        let expected = Elf { architecture: "amd64", linkage: Linkage::Static };
        assert_eq!(parse(&sample(None)), Some(expected));
    }

    #[test]
    fn the_interpreter_of_a_dynamic_program_is_named() {
        let linkage = parse(&sample(Some("/lib64/ld.so"))).unwrap().linkage;
        assert_eq!(linkage, Linkage::Dynamic { interpreter: "/lib64/ld.so".to_owned() });
    }

    #[test]
    fn scripts_and_damaged_files_are_no_programs() {
        assert_eq!(parse(b"#!/bin/sh\n"), None);
        assert_eq!(parse(b""), None);
        let whole = sample(Some("/lib64/ld.so"));
        for length in 0..whole.len() {
            // Must not panic; a cut file may still look static when its table is gone.
            let _ = parse(&whole[..length]);
        }
        let mut wrong = whole;
        wrong[32..40].fill(0xff);
        assert_eq!(parse(&wrong).map(|elf| elf.linkage), Some(Linkage::Static));
    }
}
