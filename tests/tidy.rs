//! Rules of the source that no compiler holds: floors, who may name what, sizes, and the form of SQL.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The floor of each module: a file imports from floors below its own only.
const FLOORS: [(&str, u8); 22] = [
    ("error", 0),
    ("domain", 1),
    ("config", 2),
    ("audit", 10),
    ("auth", 10),
    ("sources", 10),
    ("sample", 10),
    ("functions", 10),
    ("traces", 10),
    ("lake", 15),
    ("catalog", 20),
    ("models", 30),
    ("metrics", 31),
    ("engine", 40),
    ("publish", 45),
    ("flight", 50),
    ("http", 50),
    ("jobs", 50),
    ("cli", 60),
    ("fuzzing", 60),
    ("lib", 70),
    ("main", 70),
];

/// Lines of a file of `src`.
const FILE_LINES_MAX: usize = 400;

/// Lines of a function, from its head to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;

/// Characters of a line of SQL.
const SQL_COLUMNS_MAX: usize = 100;

/// A file of the project.
struct File {
    /// The path from the project's folder.
    path: String,
    text: String,
}

impl File {
    /// Returns the module that the file is of.
    fn module(&self) -> &str {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        path.split('/').next().unwrap_or_default()
    }

    /// Returns whether the whole file is tests.
    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// Returns the lines of code with their numbers, tests, comments and what stands in quotes left out.
    fn code(&self) -> Vec<(usize, String)> {
        if self.is_test() {
            return Vec::new();
        }
        let lines: Vec<&str> = self.text.lines().collect();
        let end = lines.iter().position(|line| line.trim() == "#[cfg(test)]").unwrap_or(lines.len());
        (1..).zip(&lines[..end]).map(|(number, line)| (number, without_quotes(line))).collect()
    }
}

/// Returns a line without its comment, and with empty quotes where a text stands.
fn without_quotes(line: &str) -> String {
    let (mut code, mut is_quoted, mut before) = (String::new(), false, ' ');
    let mut chars = line.chars().peekable();
    while let Some(next) = chars.next() {
        match next {
            '/' if !is_quoted && chars.peek() == Some(&'/') => break,
            '\\' if is_quoted => {
                chars.next();
            }
            // A quote as a character is none that opens a text.
            '"' if before != '\'' || chars.peek() != Some(&'\'') => {
                is_quoted = !is_quoted;
                code.push(next);
            }
            _ if !is_quoted => code.push(next),
            _ => {}
        }
        before = next;
    }
    code
}

fn files(folder: &str, extension: &str) -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, mut open) = (Vec::new(), vec![root.join(folder)]);
    while let Some(folder) = open.pop() {
        let entries = std::fs::read_dir(&folder).expect("a folder of the project");
        for path in entries.map(|entry| entry.expect("an entry of the folder").path()) {
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == extension) {
                found.push(file(root, path));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "{folder} has no {extension} file");
    found
}

fn file(root: &Path, path: PathBuf) -> File {
    let text = std::fs::read_to_string(&path).expect("a text of the project");
    let path = path.strip_prefix(root).expect("a path below the project").to_string_lossy().replace('\\', "/");
    File { path, text }
}

fn assert_none(problems: Vec<String>) {
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

/// Returns the modules that a line names as `crate::X`, `crate::{X, Y}` included.
fn modules_named(line: &str) -> Vec<String> {
    let mut named = Vec::new();
    for (place, _) in line.match_indices("crate::") {
        let rest = &line[place + "crate::".len()..];
        let list = rest.strip_prefix('{').and_then(|rest| rest.split('}').next()).unwrap_or(rest);
        let parts: Vec<&str> = if rest.starts_with('{') { list.split(',').collect() } else { vec![list] };
        for part in parts {
            let name: String =
                part.trim().chars().take_while(|other| other.is_alphanumeric() || *other == '_').collect();
            named.push(name);
        }
    }
    named
}

#[test]
fn imports_point_down_the_floors() {
    let floors: BTreeMap<&str, u8> = FLOORS.into_iter().collect();
    let mut problems = Vec::new();
    for file in files("src", "rs") {
        let Some(own) = floors.get(file.module()) else {
            problems.push(format!("{}: module {} has no floor", file.path, file.module()));
            continue;
        };
        for (number, line) in file.code() {
            for named in modules_named(&line).iter().filter(|named| *named != file.module()) {
                // A name with a capital is a re-export of the lowest floor.
                let floor = if named.starts_with(char::is_uppercase) { Some(&0) } else { floors.get(named.as_str()) };
                match floor {
                    Some(floor) if floor < own => {}
                    Some(_) => problems.push(format!("{}:{number}: {named} is not below {}", file.path, file.module())),
                    None => problems.push(format!("{}:{number}: {named} has no floor", file.path)),
                }
            }
        }
    }
    assert_none(problems);
}

#[test]
fn only_the_owner_names_it() {
    /// What is named, by which module or file alone, and what it is.
    const OWNED: [(&[&str], &[&str], &str); 7] = [
        (&["tonic", "arrow_flight"], &["src/flight/"], "gRPC"),
        (&["deltalake"], &["src/lake/"], "Delta tables"),
        (&["clap::", "clap_complete"], &["src/cli/"], "the command line"),
        (&["println!", "eprintln!", "print!", "eprint!", "std::io::stdout", "std::io::stderr"], &["src/cli/"], "print"),
        (&["SessionContext", "SessionStateBuilder"], &["src/engine/"], "query contexts"),
        (&["SystemTime::now", "Utc::now", "Local::now"], &["src/domain/clock.rs"], "the wall clock"),
        (&["env::var", "env::var_os", "env::vars", "env::vars_os"], &["src/config/"], "the environment"),
    ];
    let mut problems = Vec::new();
    for file in files("src", "rs") {
        for (number, line) in file.code() {
            for (names, owners, what) in OWNED {
                let is_owner = owners.iter().any(|owner| file.path.starts_with(owner));
                for name in names.iter().filter(|name| !is_owner && has_word(&line, name)) {
                    problems.push(format!("{}:{number}: {name}: {what} is only for {}", file.path, owners.join(", ")));
                }
            }
        }
    }
    assert_none(problems);
}

/// Returns whether a line has a name that is no part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let is_part = |other: Option<char>| other.is_some_and(|other| other.is_alphanumeric() || other == '_');
    line.match_indices(word).any(|(place, _)| {
        let ends_open = word.ends_with(|other: char| other.is_alphanumeric());
        !(is_part(line[..place].chars().last()) || ends_open && is_part(line[place + word.len()..].chars().next()))
    })
}

#[test]
fn files_and_functions_are_short() {
    let mut problems = Vec::new();
    for file in ["src", "tests"].into_iter().flat_map(|folder| files(folder, "rs")) {
        let lines = file.text.lines().count();
        if lines > FILE_LINES_MAX {
            problems.push(format!("{}: {lines} lines", file.path));
        }
    }
    for file in files("src", "rs") {
        let code = file.code();
        let mut rest = code.as_slice();
        while let Some(((number, line), after)) = rest.split_first() {
            rest = after;
            let is_function = has_word(line, "fn") && line.contains('(') && !line.trim_start().starts_with("type ");
            let Some(length) = is_function.then(|| function_lines(line, after)).flatten() else { continue };
            if length > FUNCTION_LINES_MAX {
                problems.push(format!("{}:{number}: a function of {length} lines", file.path));
            }
        }
    }
    assert_none(problems);
}

/// Returns the lines of a function by its braces; `None` where it has no body.
fn function_lines(head: &str, after: &[(usize, String)]) -> Option<usize> {
    let mut depth = 0_i32;
    let mut has_body = false;
    for (count, line) in (1..).zip(std::iter::once(head).chain(after.iter().map(|(_, line)| line.as_str()))) {
        for brace in line.chars() {
            match brace {
                '{' => {
                    depth += 1;
                    has_body = true;
                }
                '}' => depth -= 1,
                ';' if !has_body => return None,
                _ => {}
            }
        }
        if has_body && depth <= 0 {
            return Some(count);
        }
    }
    None
}

#[test]
fn nothing_is_unwrapped_or_left_undone() {
    let marks = [["TO", "DO"].concat(), ["FIX", "ME"].concat()];
    let mut problems = Vec::new();
    for file in files("src", "rs").into_iter().chain(files("tests", "rs")) {
        for (number, line) in (1..).zip(file.text.lines()) {
            if marks.iter().any(|mark| has_word(line, mark)) {
                problems.push(format!("{}:{number}: is left undone", file.path));
            }
        }
        if file.path.starts_with("tests/") {
            continue;
        }
        for (number, line) in file.code() {
            for banned in [".unwrap()", "dbg!(", "todo!(", "unimplemented!(", ".expect()", ".expect(\"\")"] {
                if line.contains(banned) && !(banned == ".expect(\"\")" && has_message(&file, number)) {
                    problems.push(format!("{}:{number}: {banned}", file.path));
                }
            }
        }
    }
    assert_none(problems);
}

/// Returns whether `expect` on a line is given a message of at least two words, the proof.
fn has_message(file: &File, number: usize) -> bool {
    let line = file.text.lines().nth(number - 1).unwrap_or_default();
    let message = line.split(".expect(\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
    message.split_whitespace().count() >= 2
}

/// Keywords of SQL, which are in lower case.
const KEYWORDS: &str = "SELECT FROM WHERE GROUP ORDER BY WITH AS JOIN LEFT INNER FULL CROSS ON AND OR NOT NULL CASE \
    WHEN THEN ELSE END UNION ALL DISTINCT HAVING LIMIT OVER PARTITION CAST COALESCE SUM COUNT MIN MAX";

#[test]
fn sql_has_one_form() {
    let mut problems = Vec::new();
    for file in files("sql", "sql") {
        let sidecar = Path::new(env!("CARGO_MANIFEST_DIR")).join(&file.path).with_extension("toml");
        if !sidecar.exists() {
            problems.push(format!("{}: has no sidecar", file.path));
        }
        if file.text.contains('\t') || !file.text.ends_with('\n') {
            problems.push(format!("{}: a tab, or no newline at the end", file.path));
        }
        for (number, line) in (1..).zip(file.text.lines()) {
            let mut demand = |holds: bool, what: &str| {
                if !holds {
                    problems.push(format!("{}:{number}: {what}: {}", file.path, line.trim()));
                }
            };
            demand(line.chars().count() <= SQL_COLUMNS_MAX, "a line of more than 100 columns");
            demand(line.trim_end() == line, "white space at the end");
            let code = without_literals(line.split("--").next().unwrap_or_default());
            demand(
                !words(&code).any(|word| KEYWORDS.split_whitespace().any(|known| known == word)),
                "a keyword in capitals",
            );
            demand((code.len() - code.trim_start().len()).is_multiple_of(4), "no indent of four spaces");
            demand(!has_bare_join(&code), "a join without its kind");
            demand(!has_bare_alias(&code), "an alias without as");
            demand(!has_one_letter_name(&code), "an alias of one letter");
        }
    }
    assert_none(problems);
}

fn without_literals(line: &str) -> String {
    line.split('\'')
        .enumerate()
        .filter(|(place, _)| place % 2 == 0)
        .map(|(_, part)| part)
        .collect::<Vec<_>>()
        .join("''")
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|other: char| !(other.is_alphanumeric() || other == '_')).filter(|word| !word.is_empty())
}

fn has_bare_join(code: &str) -> bool {
    let words: Vec<&str> = words(code).collect();
    (0..words.len()).any(|place| {
        let kinds = ["inner", "left", "right", "full", "cross", "anti", "semi", "outer"];
        words[place] == "join" && !(place > 0 && kinds.contains(&words[place - 1]))
    })
}

/// Returns whether a table of `from` or `join` is followed by a name without `as`.
fn has_bare_alias(code: &str) -> bool {
    let words: Vec<&str> = code.split_whitespace().collect();
    (0..words.len()).any(|place| {
        let follow = ["as", "on", "where", "group", "order", "left", "inner", "full", "cross", "limit", "union"];
        let is_table = words[place] == "from" || words[place] == "join";
        let table = words.get(place + 1).is_some_and(|table| !table.starts_with('(') && !table.ends_with(')'));
        is_table && table && words.get(place + 2).is_some_and(|next| !follow.contains(next))
    })
}

fn has_one_letter_name(code: &str) -> bool {
    let words: Vec<&str> = words(code).collect();
    let after_as = words.windows(2).any(|pair| pair[0] == "as" && pair[1].len() == 1);
    let before_dot = code.split(|other: char| !(other.is_alphanumeric() || other == '_' || other == '.'));
    after_as
        || before_dot
            .filter_map(|name| name.split_once('.'))
            .any(|(table, _)| table.len() == 1 && table.chars().all(char::is_alphabetic))
}

#[test]
fn the_rules_recognise_what_breaks_them() {
    assert_eq!(modules_named("use crate::{Error, catalog::TableId};"), ["Error", "catalog"]);
    assert_eq!(modules_named("let x = crate::engine::run(crate::cli::Y);"), ["engine", "cli"]);
    assert_eq!(without_quotes("let x = \"println!\"; // dbg!(x)"), "let x = \"\"; ");
    assert_eq!(without_quotes("split('\"').next(\"a\")"), "split('\"').next(\"\")");
    assert!(
        has_word("use tonic::Status;", "tonic") && !has_word("tonics", "tonic") && !has_word("eprintln!", "println!")
    );
    assert_eq!(function_lines("fn x() {", &[(2, "    y".into()), (3, "}".into())]), Some(3));
    assert_eq!(function_lines("    fn x();", &[]), None);
    assert!(has_bare_join("from a join b") && !has_bare_join("left anti join b"));
    assert!(has_bare_alias("from accounts a") && !has_bare_alias("from accounts as one"));
    assert!(has_one_letter_name("select a.b") && has_one_letter_name("sum(x) as y"));
    assert!(!has_one_letter_name("select accounts.b, 1.5 as rate"));
}
