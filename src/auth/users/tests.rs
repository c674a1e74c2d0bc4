use super::*;

/// An instant whose text is known.
const CLOCK: Clock = Clock::Fixed(1_793_491_200_000_000);

fn password() -> Secret {
    Secret::new("correct horse")
}

#[test]
fn what_is_added_is_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("users.toml");
    Users::edit(&file, |users| users.add("ann@example.com", Some(&password()))).expect("she is added");
    let token = Users::edit(&file, |users| {
        users.add("grafana", None)?;
        users.add_token("grafana", CLOCK)
    })
    .expect("it is added");
    let users = Users::read(&file).expect("it is read");
    assert!(users.password("ann@example.com").is_some() && users.password("grafana").is_none());
    assert_eq!(users.owner(token.reveal()), Some("grafana"));
    assert_eq!(users.owner("topline_guessed"), None);
    let text = std::fs::read_to_string(&file).expect("a text");
    assert!(text.contains("argon2id") && !text.contains("horse") && !text.contains(token.reveal()), "{text}");
    let listed: Vec<_> = users.listed().map(|user| (user.name, user.has_password, user.tokens.len())).collect();
    assert_eq!(listed, [("ann@example.com", true, 0), ("grafana", false, 1)]);
}

#[test]
fn a_token_is_taken_back_by_its_id() {
    let mut users = Users::default();
    users.add("grafana", None).expect("it is added");
    users.add_token("grafana", CLOCK).expect("it is made");
    let (id, created_at) = {
        let user = users.listed().next().expect("one user");
        (user.tokens[0].0.to_owned(), user.tokens[0].1.to_owned())
    };
    assert_eq!((id.len(), created_at.as_str()), (10, "2026-11-01T00:00:00Z"));
    users.remove_token(&id).expect("it is there");
    assert_eq!(users.remove_token(&id).expect_err("it is gone").kind(), ErrorKind::NotFound);
}

#[test]
fn names_are_checked() {
    let mut users = Users::default();
    for name in ["", "a b", "a:b", "-a", "a\n", "anonymous", "a/b", &"a".repeat(255)] {
        assert_eq!(users.add(name, None).expect_err(name).kind(), ErrorKind::Argument);
    }
    users.add("zoë.o-neill+bi@example.com", None).expect("a good name");
    let error = users.remove("zoe.o-neill+bi@example.com").expect_err("another name");
    assert_eq!(error.hint(), Some("did you mean \"zoë.o-neill+bi@example.com\"?"));
}

#[test]
fn a_user_is_added_once() {
    let mut users = Users::default();
    users.add("ann", None).expect("she is added");
    let error = users.add("ann", None).expect_err("she is there");
    assert_eq!(error.message(), "user \"ann\" exists already");
}

#[test]
fn every_problem_of_a_file_is_named_and_no_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("users.toml");
    let text =
        "[users.\"a b\"]\n[users.ann]\npassword = \"plain\"\ntokens = [{ sha256 = \"short\", created_at = \"\" }]\n";
    private_file::replace(&file, text.as_bytes()).expect("it is written");
    let error = Users::read(&file).expect_err("three problems");
    assert_eq!(error.problems().count(), 3, "{error}");
    assert!(!error.message().contains("plain") && !error.message().contains("short"), "{error}");
}

#[test]
fn a_slip_in_the_file_has_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("users.toml");
    private_file::replace(&file, b"[users.ann]\npasword = \"x\"\n").expect("it is written");
    let error = Users::read(&file).expect_err("an unknown key");
    assert!(error.message().contains(":2:1: unknown key \"pasword\"; hint: did you mean \"password\"?"), "{error}");
}

#[test]
fn a_file_that_is_missing_says_how_to_make_it() {
    let error = Users::read(Path::new("/nowhere/users.toml")).expect_err("it is not there");
    assert_eq!(error.to_string(), "users file \"/nowhere/users.toml\" does not exist");
    assert_eq!(error.hint(), Some("add a first user: topline user add NAME --file /nowhere/users.toml"));
}

#[cfg(unix)]
#[test]
fn a_file_that_others_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("users.toml");
    Users::edit(&file, |users| users.add("ann", None)).expect("she is added");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("it is ours");
    let error = Users::read(&file).expect_err("everyone may read it");
    assert!(error.message().ends_with("is open to other users of this machine (mode 644)"), "{error}");
}

#[test]
fn changes_at_the_same_time_lose_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("users.toml");
    std::thread::scope(|threads| {
        for number in 0..8 {
            let file = &file;
            threads.spawn(move || {
                Users::edit(file, |users| users.add(&format!("user{number}"), None)).expect("it is added");
            });
        }
    });
    assert_eq!(Users::read(&file).expect("it is read").listed().count(), 8);
}
