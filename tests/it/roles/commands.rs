//! Roles on the command line: who has which, and what that shows.

use std::process::Command;

use serde_json::Value;

use super::{Firm, configuration};

const ROLES: &str = r#"
[auth]
users = "users.toml"

[roles.sales]
read = ["crm.accounts", "metrics.nrr"]
hide = ["crm.accounts.domain"]
filters = [{ table = "crm.accounts", where = "segment = user_attribute('segment') and name <> current_user" }]
masks = [{ table = "crm.accounts", column = "name", mask = "partial" }]
"#;

impl Firm {
    /// Runs the binary in the firm's folder; returns what it says where it goes well, and else what is wrong.
    fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_topline"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TOPLINE_")) {
            command.env_remove(name);
        }
        let output = command.args(arguments).current_dir(self.project.path("")).output().expect("the binary runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }
}

#[tokio::test]
async fn what_a_user_sees_is_shown_with_the_reason() {
    let firm = Firm::with("").await;
    firm.project.text("topline.toml", &configuration(ROLES));
    firm.run(&["user", "add", "o'neil", "--no-password"]).expect_err("a name has no quotes");
    firm.run(&["user", "add", "ann", "--no-password", "--role", "sales", "--attribute", "segment=it's"])
        .expect("it is added");
    insta::assert_snapshot!(firm.run(&["access", "ann"]).expect("she has a role"), @r#"
    user "ann": role "sales"; sandbox: none

    table         columns  because              rows and values
    crm.accounts        9  read "crm.accounts"  where ((segment = 'it''s') AND ("name" <> 'ann')); masked name: partial; without crm.accounts.domain
    metrics.nrr        12  read "metrics.nrr"   through crm.accounts
    2 tables
    "#);
    let shown: Value =
        serde_json::from_str(&firm.run(&["access", "ann", "--format", "json"]).expect("she has a role")).expect("JSON");
    let accounts = &shown["tables"][0];
    assert_eq!((shown["role"].as_str(), accounts["name"].as_str()), (Some("sales"), Some("accounts")));
    assert_eq!(accounts["columns"].as_array().map(Vec::len), Some(9));
    let counted =
        ["query", "select count(*) as n, min(name) as name from crm.accounts", "--format", "csv", "--as", "ann"];
    assert_eq!(firm.run(&counted).expect("she may"), "n,name\n0,\n");
    firm.run(&["user", "grant", "ann", "--role", "sales", "--attribute", "segment=smb"]).expect("she is there");
    assert_eq!(firm.run(&counted).expect("she may"), "n,name\n1,A***\n");
    assert_eq!(
        firm.run(&["query", "select * from crm.contacts", "--as", "ann"]).expect_err("it is hidden").lines().next(),
        Some("error: table \"crm.contacts\" does not exist")
    );
    firm.run(&["user", "grant", "ann"]).expect("she is there");
    assert_eq!(
        firm.run(&["access", "ann"]).expect_err("she has no role"),
        "error: user \"ann\" has no role, and may read nothing\nhint: ask whoever runs the server for a role\n"
    );
    assert!(
        firm.run(&["access", "bob", "--role", "sales"]).expect("as a token would").starts_with("user \"bob\": role")
    );
    assert_eq!(
        firm.run(&["access", "bob"]).expect_err("there is no bob"),
        "error: user \"bob\" does not exist\nhint: topline user list shows those that do\n"
    );
}
