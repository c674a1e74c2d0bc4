use super::*;

fn read(text: &str) -> Result<BTreeMap<String, RoleConfig>> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("topline.toml");
    std::fs::write(&file, text).expect("a file");
    roles_of_file(&file).map_err(|error| {
        let text = error.to_string().replace(&file.display().to_string(), "topline.toml");
        Error::new(error.kind(), text)
    })
}

#[test]
fn a_role_is_read_whole() {
    let roles = read(
        r#"
        [roles.analyst]
        read = ["metrics", "crm.accounts", "*"]
        hide = ["quality", "crm.contacts", "crm.accounts.domain"]
        sandbox = "write"
        admin = true
        default = true
        filters = [{ table = "crm.accounts", where = "country = 'DE'" }]
        [[roles.analyst.masks]]
        table = "crm.accounts"
        column = "name"
        mask = "partial"
        "#,
    )
    .expect("it is right");
    let table = ("crm".to_owned(), "accounts".to_owned());
    let role = &roles["analyst"];
    let texts = |places: &[Place]| places.iter().map(Place::to_string).collect::<Vec<_>>();
    assert_eq!(texts(&role.read), ["metrics", "crm.accounts", "*"]);
    assert_eq!(texts(&role.hide), ["quality", "crm.contacts", "crm.accounts.domain"]);
    assert_eq!(role.filters, [FilterConfig { table: table.clone(), condition: "country = 'DE'".to_owned() }]);
    assert_eq!(role.masks, [MaskConfig { table, column: "name".to_owned(), mask: Mask::Partial }]);
    assert!(role.sandbox == SandboxRight::Write && role.is_admin && role.is_default);
}

#[test]
fn every_problem_is_named_at_once() {
    let error = read(
        r#"
        [roles.a]
        reads = ["*"]
        read = ["crm.accounts.name", ""]
        hide = ["*"]
        sandbox = "all"
        admin = "yes"
        default = true
        filters = [{ table = "crm" }]
        masks = [{ table = "crm.accounts", column = "name", mask = "star" }]
        [roles.b]
        default = true
        "#,
    )
    .expect_err("it is wrong");
    assert_eq!(
        error.message(),
        "the configuration is wrong: 10 problems\n  \
         topline.toml: [roles.a] admin: expected true or false, found \"yes\"\n  \
         topline.toml: [roles.a] filters 1: table: expected schema.table, found \"crm\"\n  \
         topline.toml: [roles.a] filters 1: key \"where\" is missing\n  \
         topline.toml: [roles.a] hide: expected a schema, schema.table or schema.table.column, found \"*\"\n  \
         topline.toml: [roles.a] masks 1: mask: expected one of hash, null, partial, found \"star\"\n  \
         topline.toml: [roles.a] read: expected *, a schema or schema.table, found \"crm.accounts.name\"\n  \
         topline.toml: [roles.a] read: expected *, a schema or schema.table, found \"\"\n  \
         topline.toml: unknown key \"reads\" in [roles.a]; hint: did you mean \"read\"?\n  \
         topline.toml: [roles.a] sandbox: expected one of none, read, write, found \"all\"\n  \
         topline.toml: [roles]: expected one default role, found a, b"
    );
}
