//! What is wrong with roles, and who has none.

use std::collections::BTreeMap;

use topline::auth::Caller;

use super::{Firm, configuration, rows};
use crate::company;
use crate::project::{Project, assert_says};

#[tokio::test]
async fn every_name_that_there_is_not_is_told_at_once() {
    let project = Project::new();
    company::lay_out(&project);
    project.text(
        "topline.toml",
        &configuration(
            r#"
[roles.sales]
read = ["metric", "crm.acounts", "crm"]
hide = ["crm.accounts.nam", "published.nrr.grr"]
filters = [
    { table = "crm.accounts", where = "regoin = 'DE'" },
    { table = "crm.accounts", where = "name" },
    { table = "crm.accounts", where = "name = (select max(name) from crm.accounts)" },
    { table = "crm.accounts", where = "random() < 0.5" },
    { table = "crm.accounts", where = "name = 'a' and" },
    { table = "published.nrr", where = "true" },
]
masks = [
    { table = "crm.accounts", column = "employee_count", mask = "hash" },
    { table = "crm.accounts", column = "account_id", mask = "null" },
    { table = "crm.accounts", column = "nme", mask = "null" },
]
"#,
        ),
    );
    assert_says(
        &project.fault().await,
        "Config: the configuration is wrong: 12 problems\n  \
         DIR/topline.toml: [roles.sales] read \"metric\": schema \"metric\" does not exist; hint: did you mean \"metrics\"?\n  \
         DIR/topline.toml: [roles.sales] read \"crm.acounts\": table \"crm.acounts\" does not exist; hint: did you mean \"crm.accounts\"?\n  \
         DIR/topline.toml: [roles.sales] hide \"crm.accounts.nam\": column \"nam\" does not exist; hint: did you mean \"name\"?\n  \
         DIR/topline.toml: [roles.sales] filters 1 on \"crm.accounts\": column \"regoin\" does not exist; hint: there are account_id, name, domain, industry, segment, country, employee_count, created_at, merged_into_id, is_deleted\n  \
         DIR/topline.toml: [roles.sales] filters 2 on \"crm.accounts\": expected true or false, found text; hint: write a condition such as country = user_attribute('country')\n  \
         DIR/topline.toml: [roles.sales] filters 3 on \"crm.accounts\": the condition looks at more than one row, or changes by itself; hint: write it over the columns of the table, current_user and user_attribute('NAME')\n  \
         DIR/topline.toml: [roles.sales] filters 4 on \"crm.accounts\": the condition looks at more than one row, or changes by itself; hint: write it over the columns of the table, current_user and user_attribute('NAME')\n  \
         DIR/topline.toml: [roles.sales] filters 5 on \"crm.accounts\": syntax error: expected: an expression, found: EOF\n  \
         DIR/topline.toml: [roles.sales] filters 6 on \"published.nrr\": rows of schema \"published\" are not changed; hint: name the tables that they are made of, or the metric that is published\n  \
         DIR/topline.toml: [roles.sales] masks 1 on \"crm.accounts\": mask hash is for texts, and column \"employee_count\" is none; hint: mask = \"null\" is for any type\n  \
         DIR/topline.toml: [roles.sales] masks 2 on \"crm.accounts\": column \"account_id\" is of the key, which tells rows apart; hint: mask = \"hash\" still does\n  \
         DIR/topline.toml: [roles.sales] masks 3 on \"crm.accounts\": column \"nme\" does not exist; hint: did you mean \"name\"?",
    );
}

#[tokio::test]
async fn who_has_no_role_has_the_default_one_or_none() {
    let bob = |role| Caller::granted("bob", role, BTreeMap::new());
    let firm = Firm::with("[roles.sales]\nread = [\"crm\"]\n").await;
    for (role, message) in [
        (None, "user \"bob\" has no role, and may read nothing"),
        (Some("sails"), "user \"bob\" has role \"sails\", which is not configured"),
    ] {
        let error = firm.engine.as_user(&bob(role)).await.expect_err("it is refused");
        assert_eq!((error.message(), error.hint()), (message, Some("ask whoever runs the server for a role")));
    }
    let error = firm.engine.as_user(&Caller::anonymous()).await.expect_err("nobody has a role");
    assert_eq!(error.message(), "user \"anonymous\" has no role, and may read nothing");
    let firm = Firm::with("[roles.sales]\nread = [\"crm\"]\ndefault = true\n").await;
    let engine = firm.engine.as_user(&bob(None)).await.expect("the default role");
    assert_eq!(engine.schemas(), ["crm"]);
    assert!(!engine.user().is_admin);
    let firm = Firm::with("").await;
    let engine = firm.engine.as_user(&bob(None)).await.expect("there are no roles");
    assert_eq!(engine.schemas(), firm.engine.schemas());
    assert_eq!(rows(&engine, "select current_user").await, ["bob"]);
    // Whoever issues tokens may name a user as everyone is named where nobody logs in.
    let named = Caller::granted("anonymous", None, BTreeMap::new());
    for (caller, is_admin) in [(bob(None), false), (named, false), (Caller::anonymous(), true)] {
        let engine = firm.engine.as_user(&caller).await.expect("there are no roles");
        assert_eq!(engine.user().is_admin, is_admin, "{caller:?}");
    }
}

#[tokio::test]
async fn changed_roles_hold_from_the_next_call_on_and_wrong_ones_do_not() {
    let firm = Firm::with("[roles.sales]\nread = [\"crm\"]\n").await;
    let count = "select count(*) from crm.accounts";
    assert_eq!(rows(&firm.seen_by("sales").await, count).await, ["3"]);
    let filtered = "[roles.sales]\nread = [\"crm\"]\n\
        filters = [{ table = \"crm.accounts\", where = \"segment = 'smb'\" }]\n";
    firm.replace(&configuration(filtered));
    assert_eq!(rows(&firm.seen_by("sales").await, count).await, ["1"]);
    for wrong in ["", "[roles.sales]\nread = [\"crn\"]\n", "[roles.sales\n", "[roles.sales]\nreads = [\"crm\"]\n"] {
        firm.replace(&configuration(wrong));
        assert_eq!(rows(&firm.seen_by("sales").await, count).await, ["1"], "{wrong}");
    }
    firm.replace("");
    assert_eq!(rows(&firm.seen_by("sales").await, count).await, ["1"], "an empty file");
    firm.replace(&configuration("[roles.sales]\nread = [\"metrics\"]\n"));
    assert_eq!(firm.seen_by("sales").await.schemas(), ["metrics"]);
}

impl Firm {
    /// Replaces the configuration by renaming, as editors do.
    pub(super) fn replace(&self, text: &str) {
        self.project.text("topline.toml.new", text);
        let (new, old) = (self.project.path("topline.toml.new"), self.project.path("topline.toml"));
        std::fs::rename(new, old).expect("it is there");
    }
}

#[tokio::test]
async fn a_mask_that_hashes_says_what_it_needs_the_key_for() {
    let mask = "{ table = \"crm.accounts\", column = \"name\", mask = \"hash\" }";
    let firm = Firm::with(&format!("[roles.sales]\nread = [\"crm\"]\nmasks = [{mask}]\n")).await;
    let key = firm.project.path("warehouse/signing.key");
    std::fs::remove_file(&key).expect("it was made");
    std::fs::create_dir(&key).expect("a folder in its place, which its owner alone may read");
    #[cfg(unix)]
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("it is ours");
    assert_says(
        &firm.project.fault().await,
        "Config: key file \"DIR/warehouse/signing.key\" cannot be read: Is a directory (os error 21)\n\
         hint: let this user read it; logins, handles and masks that hash go by it",
    );
}
