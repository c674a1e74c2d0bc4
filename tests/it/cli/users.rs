//! Users and tokens from the command line.

use std::io::Write;
use std::process::Stdio;

use super::{Desk, Run};

impl Desk {
    /// Runs with a text on standard input.
    fn run_with(&self, arguments: &[&str], input: &str) -> Run {
        let mut command = self.command(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        child.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("it is read");
        Run::of(child.wait_with_output().expect("it ends"))
    }
}

impl Run {
    /// Returns standard error of a run that went well.
    fn said(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self.err
    }
}

const CONFIG: &str = "[sources.crm]\nconnector = \"canonical\"\nlocation = \"crm\"\n[auth]\nusers = \"users.toml\"\n";

#[test]
fn users_are_added_listed_changed_and_removed() {
    let desk = Desk::new();
    desk.write("topline.toml", CONFIG);
    let said = desk.run_with(&["user", "add", "ann"], "correct horse\n").said();
    assert_eq!(said, "user \"ann\" is added to users.toml\n");
    desk.run(&["user", "add", "grafana", "--no-password"]).said();
    insta::assert_snapshot!(desk.run(&["user", "list"]).good(), @r"
    user     role  logs in by
    ann            password
    grafana        nothing yet
    ");
    assert_eq!(
        desk.run(&["user", "list", "--format", "json"]).json(),
        serde_json::json!([
            { "name": "ann", "has_password": true, "tokens": 0, "role": null, "attributes": {} },
            { "name": "grafana", "has_password": false, "tokens": 0, "role": null, "attributes": {} },
        ])
    );
    let before = std::fs::read_to_string(desk.path().join("users.toml")).expect("the file");
    desk.run_with(&["user", "password", "ann"], "another horse").said();
    assert_ne!(std::fs::read_to_string(desk.path().join("users.toml")).expect("the file"), before);
    desk.run(&["user", "remove", "ann"]).said();
    assert_eq!(desk.run(&["user", "list", "--format", "json"]).json().as_array().map(Vec::len), Some(1));
}

#[test]
fn a_token_is_shown_once() {
    let desk = Desk::new();
    desk.run(&["user", "add", "grafana", "--no-password", "--file", "users.toml"]).said();
    let made = desk.run(&["token", "add", "grafana", "--file", "users.toml"]);
    assert_eq!((made.code, made.err.as_str()), (Some(0), "keep the token: it is shown this once\n"));
    let token = made.out.trim_end();
    assert!(token.starts_with("topline_") && token.len() == 51, "{token}");
    let text = std::fs::read_to_string(desk.path().join("users.toml")).expect("the file");
    assert!(!text.contains(token));
    let listed = desk.run(&["token", "list", "--format", "json", "--file", "users.toml"]).json();
    assert_eq!(listed[0]["user"], "grafana");
    let id = listed[0]["id"].as_str().expect("an id").to_owned();
    desk.run(&["token", "remove", &id, "--file", "users.toml"]).said();
    let again = desk.run(&["token", "remove", &id, "--file", "users.toml"]).fault();
    assert_eq!(
        again,
        format!("error: token \"{id}\" does not exist\nhint: topline token list shows what each is called by\n")
    );
}

#[test]
fn what_is_done_about_users_and_tokens_is_written_down_without_secrets() {
    let desk = Desk::new();
    desk.write("topline.toml", &format!("{CONFIG}[audit]\npath = \"audit.log\"\n"));
    desk.run_with(&["user", "add", "ann"], "correct horse\n").said();
    desk.run(&["user", "grant", "ann", "--role", "sales"]).said();
    desk.run_with(&["user", "password", "ann"], "another horse\n").said();
    let token = desk.run(&["token", "add", "ann"]).out;
    desk.run(&["user", "remove", "ann"]).said();
    desk.run(&["user", "remove", "ann"]).fault();
    let text = std::fs::read_to_string(desk.path().join("audit.log")).expect("the log");
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(lines.iter().all(|line| line["act"] == "user_changed" && line["outcome"] == "done"), "{text}");
    let told: Vec<_> = lines.iter().filter_map(|line| line["object"].as_str()).collect();
    assert_eq!(
        told,
        [
            "user \"ann\" is added to users.toml",
            "user \"ann\" has role \"sales\" now",
            "the password of user \"ann\" is changed",
            "user \"ann\" got a token",
            "user \"ann\" is removed",
        ]
    );
    assert!(!text.contains("horse") && !text.contains(token.trim_end()) && !text.contains("argon2"), "{text}");
}

#[test]
fn what_is_refused_is_explained() {
    let desk = Desk::new();
    insta::assert_snapshot!(desk.run(&["user", "list"]).fault(), @r#"
    error: no file of users is configured
    hint: name one with --file, or with users = "users.toml" in [auth] of the configuration
    "#);
    insta::assert_snapshot!(desk.run(&["user", "list", "--file", "users.toml"]).fault(), @r#"
    error: users file "users.toml" does not exist
    hint: add a first user: topline user add NAME --file users.toml
    "#);
    insta::assert_snapshot!(desk.run_with(&["user", "add", "ann", "--file", "users.toml"], "short\n").fault(), @r"
    error: a password has 8 characters at least and 1024 bytes at most
    hint: three or four words that do not belong together are a good one
    ");
    insta::assert_snapshot!(desk.run_with(&["user", "add", "a b", "--file", "users.toml"], "long enough\n").fault(), @r#"
    error: "a b" cannot be a user's name
    hint: a name begins with a letter or digit and has letters, digits and . _ - + @ only, such as ann@example.com
    "#);
}

#[cfg(unix)]
#[test]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    desk.run(&["user", "add", "grafana", "--no-password", "--file", "users.toml"]).said();
    let file = desk.path().join("users.toml");
    assert_eq!(std::fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("it is ours");
    insta::assert_snapshot!(desk.run(&["user", "list", "--file", "users.toml"]).fault(), @r#"
    error: users file "users.toml" is open to other users of this machine (mode 644)
    hint: chmod 600 users.toml
    "#);
}
