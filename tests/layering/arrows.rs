//! From the tokens of a file to the rooms it imports and the outside names it mentions.

use super::tokens::{Located, Token, tokens};

/// A mention of something, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    pub name: String,
    pub line: usize,
}

/// The rooms that a file's paths lead into: `crate::<room>` (and `msctl::<room>`, as the binary
/// writes it) wherever it stands, with or without braces, and `super::…::<room>` where that leaves
/// the file's own room. The root itself (`crate::*`, `crate::{self}`) counts as the room `lib`.
pub fn rooms_in(path: &str, found: &[Located]) -> Vec<Mention> {
    let depths = depths(path, found);
    let mut rooms = Vec::new();
    for (index, located) in found.iter().enumerate() {
        let Token::Word(word) = &located.token else { continue };
        let is_first = index == 0 || found[index - 1].token != Token::Path;
        let after = match word.as_str() {
            "crate" | "msctl" if is_first => index + 1,
            "super" if is_first => match leave_room(found, index, depths[index]) {
                Some(after) => after,
                None => continue,
            },
            _ => continue,
        };
        if found.get(after).is_some_and(|next| next.token == Token::Path) {
            rooms.extend(first_segments(&found[after + 1..]));
        }
    }
    rooms
}

/// Where a chain of `super::` ends, if it is long enough to end at the crate's root.
fn leave_room(found: &[Located], start: usize, depth: usize) -> Option<usize> {
    let is_super = |index: usize| found.get(index).is_some_and(|t| t.token == Token::Word("super".into()));
    let mut index = start;
    let mut steps = 1;
    while is_super(index + 2) && found[index + 1].token == Token::Path {
        (index, steps) = (index + 2, steps + 1);
    }
    (steps >= depth).then_some(index + 1)
}

/// How many modules each token is inside of, those that the file writes inline included.
fn depths(path: &str, found: &[Located]) -> Vec<usize> {
    let inside = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let file_depth = if matches!(inside, "lib" | "main") { 0 } else { inside.split('/').count() };
    let mut braces: Vec<bool> = Vec::new();
    let mut depths = Vec::new();
    for (index, located) in found.iter().enumerate() {
        match located.token {
            Token::Sign('{') => {
                let is_module = index >= 2 && found[index - 2].token == Token::Word("mod".into());
                braces.push(is_module);
            }
            Token::Sign('}') => drop(braces.pop()),
            _ => {}
        }
        depths.push(file_depth + braces.iter().filter(|is_module| **is_module).count());
    }
    depths
}

/// The first name of a path, or of each path inside braces.
fn first_segments(rest: &[Located]) -> Vec<Mention> {
    let mention = |located: &Located| match &located.token {
        Token::Word(word) if word != "self" => Mention { name: word.clone(), line: located.line },
        _ => Mention { name: "lib".to_owned(), line: located.line },
    };
    let Some(first) = rest.first() else { return Vec::new() };
    if first.token != Token::Sign('{') {
        return vec![mention(first)];
    }
    let mut depth = 0;
    let mut names = Vec::new();
    for pair in rest.windows(2) {
        match pair[0].token {
            Token::Sign('{') => depth += 1,
            Token::Sign('}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        let begins_path = matches!(pair[0].token, Token::Sign('{' | ','));
        if depth == 1 && begins_path && pair[1].token != Token::Sign('}') {
            names.push(mention(&pair[1]));
        }
    }
    names
}

/// Where a name is mentioned: a word (`axum`), a macro (`println!`) or a path (`process::exit`).
pub fn mentions_of(name: &str, found: &[Located]) -> Vec<Mention> {
    let sought: Vec<Token> = tokens(name).into_iter().map(|located| located.token).collect();
    let begins = found
        .windows(sought.len())
        .filter(|window| window.iter().map(|located| &located.token).eq(sought.iter()));
    begins.map(|window| Mention { name: name.to_owned(), line: window[0].line }).collect()
}
