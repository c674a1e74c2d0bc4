//! The configuration file and the variables that override it.

use topline::config::{Config, Environment, Location};
use topline::engine::Engine;

use crate::company;
use crate::project::{Fault, Project, answer, assert_says, environment};

const CRM: &str = "[sources.crm]\nconnector = \"canonical\"\nlocation = \"crm\"\n";

fn fault_with(text: &str, variables: &[(&str, &str)]) -> Fault {
    let project = Project::new();
    project.text("topline.toml", text);
    match project.config(variables) {
        Ok(config) => panic!("the configuration is expected to be wrong: {config:?}"),
        Err(error) => project.described(&error),
    }
}

fn fault(text: &str) -> Fault {
    fault_with(text, &[])
}

#[test]
fn every_slip_of_a_file_is_named_at_once() {
    let text = format!(
        r#"{CRM}
conector = "canonical"

[attribution]
lookback_day = 3
half_life_days = "a week"
touch_scope = "accounts"

[reporting]
currency = 7
timezone = "Mars/Olympus"
fiscal_year_start = 13

[limits]
memory = "1 MB"
threads = 0
rows = "many"

[flight]
listen = "here"

[attributions]
model = "linear"
"#
    );
    assert_says(
        &fault(&text),
        r#"Config: the configuration is wrong: 12 problems
  DIR/topline.toml: [attribution] half_life_days: expected a number, found "a week"
  DIR/topline.toml: unknown key "lookback_day" in [attribution]; hint: did you mean "lookback_days"?
  DIR/topline.toml: [attribution] touch_scope: expected one of account, contact_roles, found "accounts"
  DIR/topline.toml: unknown section "[attributions]"; hint: did you mean "attribution"?
  DIR/topline.toml: [flight] listen: expected an address such as 127.0.0.1:50051, found "here"
  DIR/topline.toml: [limits] memory: expected a size of at least 32 MB such as "512 MB", found "1 MB"
  DIR/topline.toml: [limits] rows: expected a whole number above 0, found "many"
  DIR/topline.toml: [limits] threads: expected a whole number from 1 to 256, found integer 0
  DIR/topline.toml: [reporting] currency: expected a text, found integer 7
  DIR/topline.toml: [reporting] fiscal_year_start: expected a whole number from 1 to 12, found "13"
  DIR/topline.toml: [reporting] timezone: expected an IANA time zone such as Europe/Berlin, found "Mars/Olympus"
  DIR/topline.toml: unknown key "conector" in [sources.crm]; hint: did you mean "connector"?"#,
    );
}

#[test]
fn a_file_that_is_no_toml_is_named_with_line_and_column() {
    assert_says(
        &fault("[sources.crm]\nconnector = canonical\n"),
        "Config: DIR/topline.toml:2:13: string values must be quoted, expected literal string",
    );
}

#[test]
fn a_section_of_another_kind_is_named() {
    assert_says(
        &fault("sources = 3\nlimits = \"none\"\n"),
        r#"Config: the configuration is wrong: 2 problems
  DIR/topline.toml: [limits]: expected a section, found string
  DIR/topline.toml: [sources]: expected a section, found integer"#,
    );
}

#[test]
fn every_slip_of_the_rules_is_named_at_once() {
    let text = format!(
        r#"{CRM}
[quality]
enabled = []
enable = "orphan_key"
disable = ["negative_leg", 3]
required_fields = ["amount"]
mismatch_share = 2

[quality.name_patterns]
"campaigns.name" = "^x"
accounts.name = "(unclosed"
contacts = {{ email = 7 }}
"#
    );
    assert_says(
        &fault(&text),
        r#"Config: the configuration is wrong: 8 problems
  DIR/topline.toml: [quality] disable: expected a text, found integer 3
  DIR/topline.toml: [quality] enable: expected a list of names of rules, found "orphan_key"
  DIR/topline.toml: unknown key "enabled" in [quality]; hint: did you mean "enable"?
  DIR/topline.toml: [quality] mismatch_share: expected a number from 0 to 1, found "2"
  DIR/topline.toml: [quality.name_patterns] accounts.name: "(unclosed" is no regular expression: unclosed group
  DIR/topline.toml: [quality.name_patterns] campaigns.name: expected a section, found "^x"; hint: write campaigns.name = "^[a-z_]+$", with no quotes around the name
  DIR/topline.toml: [quality.name_patterns] contacts.email: expected a text, found integer 7
  DIR/topline.toml: [quality] required_fields: expected a section, found array; hint: write Negotiation = ["amount", "close_date"]"#,
    );
}

#[test]
fn a_rule_is_either_on_or_off() {
    let text = format!("{CRM}[quality]\nenable = [\"orphan_key\"]\ndisable = [\"orphan_key\"]\n");
    assert_says(
        &fault(&text),
        r#"Config: DIR/topline.toml: [quality]: rule "orphan_key" is both in enable and in disable"#,
    );
}

#[test]
fn a_variable_names_rules_with_commas_between() {
    let project = Project::new();
    project.text("topline.toml", &format!("{CRM}[quality]\nenable = [\"name_pattern\"]\n"));
    let variables = [("TOPLINE_QUALITY_ENABLE", "orphan_key, impossible_order"), ("TOPLINE_QUALITY_DISABLE", "")];
    let config = project.config(&variables).expect("a good configuration");
    assert_eq!(config.quality.enable, ["orphan_key", "impossible_order"]);
    assert!(config.quality.disable.is_empty());
}

#[test]
fn a_key_given_twice_is_named() {
    assert_says(&fault(&format!("{CRM}location = \"elsewhere\"\n")), "Config: DIR/topline.toml:4:1: duplicate key");
}

#[test]
fn a_source_without_its_keys_is_named() {
    assert_says(
        &fault("[sources.crm]\n[sources.shop]\nconnector = \"shopify\"\nlocation = \"\"\n"),
        r#"Config: the configuration is wrong: 4 problems
  DIR/topline.toml: [sources.crm]: key "connector" is missing; hint: "canonical" or "raw"
  DIR/topline.toml: [sources.crm]: key "location" is missing; hint: a folder, or an s3://, gs://, az:// or https:// URL
  DIR/topline.toml: [sources.shop] connector: expected canonical or raw, found "shopify"
  DIR/topline.toml: [sources.shop] location: expected a text, found """#,
    );
}

#[test]
fn a_configuration_without_sources_is_refused() {
    assert_says(
        &fault("[attribution]\nlookback_days = 30\n"),
        "Config: DIR/topline.toml: no source is configured; hint: add [sources.crm] with connector and location",
    );
}

#[test]
fn source_names_that_would_hide_a_schema_are_refused() {
    let source =
        |name: &str, connector: &str| format!("[sources.{name}]\nconnector = \"{connector}\"\nlocation = \"x\"\n");
    let names = [("core", "raw"), ("billing", "raw"), ("information_schema", "raw"), ("metrics", "canonical")];
    let text: Vec<String> = names.iter().map(|(name, connector)| source(name, connector)).collect();
    let text = text.join("") + &source("\"My Shop\"", "raw");
    assert_says(
        &fault(&text),
        r#"Config: the configuration is wrong: 5 problems
  DIR/topline.toml: [sources.My Shop]: a source's name has small letters, digits and _ only, found "My Shop"
  DIR/topline.toml: [sources.billing]: a raw source cannot be named like the built-in schema "billing"; hint: choose another name
  DIR/topline.toml: [sources.core]: a raw source cannot be named like the built-in schema "core"; hint: choose another name
  DIR/topline.toml: [sources.information_schema]: a raw source cannot be named like the built-in schema "information_schema"; hint: choose another name
  DIR/topline.toml: unknown canonical source "metrics"; hint: known are crm, billing, campaign, finance"#,
    );
}

#[test]
fn a_location_with_credentials_or_of_an_unknown_kind_is_refused() {
    let text = "[sources.a]\nconnector = \"raw\"\nlocation = \"https://me:secret@host/x.parquet\"\n\
        [sources.b]\nconnector = \"raw\"\nlocation = \"ftp://host/x.parquet\"\n";
    let fault = fault(text);
    assert!(!fault.message.contains("secret"), "{fault}");
    assert_says(
        &fault,
        r#"Config: the configuration is wrong: 2 problems
  DIR/topline.toml: [sources.a] location: a URL must not hold credentials; hint: set them in the environment
  DIR/topline.toml: [sources.b] location: expected a path or an s3://, gs://, az://, http:// or https:// URL, found "ftp://host/x.parquet""#,
    );
}

#[test]
fn a_missing_file_is_named() {
    let project = Project::new();
    let error = project.config(&[]).expect_err("there is no file");
    assert_says(
        &project.described(&error),
        r#"Config: configuration file "DIR/topline.toml" does not exist
hint: name another with --config FILE, or leave it out to work on the sample"#,
    );
}

#[tokio::test]
async fn a_missing_source_folder_is_named_for_each_source() {
    let project = Project::new();
    company::lay_out(&project);
    std::fs::remove_dir_all(project.path("crm")).expect("the folder is there");
    std::fs::remove_dir_all(project.path("finance")).expect("the folder is there");
    assert_says(
        &project.fault().await,
        r#"Source: the sources do not hold what the contract asks for: 2 problems
  source "crm": location "DIR/crm" does not exist or cannot be read; hint: a relative location counts from the folder of the configuration file
  source "finance": location "DIR/finance" does not exist or cannot be read; hint: a relative location counts from the folder of the configuration file"#,
    );
}

#[test]
fn a_wrong_variable_is_named_and_not_the_file() {
    let variables = [
        ("TOPLINE_ATTRIBUTION_LOOKBACK_DAYS", "0"),
        ("TOPLINE_FLIGHT_LISTEN", "7"),
        ("TOPLINE_LIMITS_THREADS", "all"),
        ("TOPLINE_REPORTING_TIMEZON", "UTC"),
        ("TOPLINE_SOURCES_CRN_LOCATION", "/data/crm"),
        ("TOPLINE_SOURCES_CRM_CONNECTOR", "salesforce"),
    ];
    assert_says(
        &fault_with(CRM, &variables),
        r#"Config: the configuration is wrong: 6 problems
  unknown environment variable "TOPLINE_REPORTING_TIMEZON"; hint: did you mean "TOPLINE_REPORTING_TIMEZONE"?
  environment variable "TOPLINE_SOURCES_CRN_LOCATION": there is no source "crn"; hint: did you mean source "crm"?
  environment variable "TOPLINE_ATTRIBUTION_LOOKBACK_DAYS": expected a number above 0 up to 3650, found "0"
  environment variable "TOPLINE_FLIGHT_LISTEN": expected an address such as 127.0.0.1:50051, found "7"
  environment variable "TOPLINE_LIMITS_THREADS": expected a whole number from 1 to 256, found "all"
  environment variable "TOPLINE_SOURCES_CRM_CONNECTOR": expected canonical or raw, found "salesforce""#,
    );
}

#[test]
fn warehouse_and_sandbox_are_held_to_what_they_can_be() {
    let wrong = "[warehouse]\nlocation = \"https://x.example/lake\"\n\
        [sandbox]\nbytes = \"much\"\ntables = -1\nwritable = \"maybe\"\ntable_byte = 1\n";
    assert_says(
        &fault_with(&format!("{CRM}{wrong}"), &[]),
        r#"Config: the configuration is wrong: 5 problems
  DIR/topline.toml: [sandbox] bytes: expected a size such as "10 GB", found "much"
  DIR/topline.toml: unknown key "table_byte" in [sandbox]; hint: did you mean "table_bytes"?
  DIR/topline.toml: [sandbox] tables: expected a whole number from 0, found integer -1
  DIR/topline.toml: [sandbox] writable: expected true or false, found "maybe"
  DIR/topline.toml: [warehouse] location: expected a folder, or an s3://, gs:// or az:// URL, found "https://x.example/lake""#,
    );
}

#[test]
fn a_variable_over_a_section_of_another_kind_hides_no_other_slip() {
    let variables = [("TOPLINE_LIMITS_ROWS", "5"), ("TOPLINE_NONSENSE", "1")];
    assert_says(
        &fault_with(&format!("limits = 3\n{CRM}"), &variables),
        r#"Config: the configuration is wrong: 2 problems
  unknown environment variable "TOPLINE_NONSENSE"; hint: variables are named TOPLINE_<SECTION>_<KEY>
  DIR/topline.toml: [limits]: expected a section, found integer"#,
    );
}

#[tokio::test]
async fn a_variable_overrides_its_key_whatever_its_value_looks_like() {
    let project = Project::new();
    company::lay_out(&project);
    std::fs::rename(project.path("crm"), project.path("2026")).expect("a free name");
    let variables = [
        ("TOPLINE_SOURCES_CRM_LOCATION", "2026"),
        ("TOPLINE_ATTRIBUTION_LOOKBACK_DAYS", "12.5"),
        ("TOPLINE_ATTRIBUTION_TOUCH_SCOPE", "contact_roles"),
        ("TOPLINE_REPORTING_AS_OF", "2026-03-01T00:00:00Z"),
        ("TOPLINE_LIMITS_MEMORY", "64 MB"),
        ("TOPLINE_LIMITS_ROWS", "100"),
        ("TOPLINE_FLIGHT_LISTEN", "127.0.0.1:0"),
        ("TOPLINE_LOG", "debug"),
        ("OTHER_VARIABLE", "x"),
    ];
    let config = project.config(&variables).expect("a good configuration");
    assert_eq!(config.sources.iter().filter(|source| source.name == "crm").count(), 1);
    assert_eq!(config.settings.number("attribution.lookback_days"), 12.5);
    assert_eq!((config.limits.memory_bytes, config.limits.rows, config.listen.port()), (64 << 20, Some(100), 0));
    let engine = Engine::open(config).await.expect("the project opens");
    let deals = answer(&engine, "select opportunity_id from core.conversions").await.expect("deals");
    assert_eq!(deals, ["o1"], "o2 is closed after as_of");
}

#[test]
fn relative_locations_count_from_the_folder_of_the_file() {
    let project = Project::new();
    project.text(
        "deep/topline.toml",
        "[sources.crm]\nconnector = \"canonical\"\nlocation = \"../crm\"\n[models]\nlocation = \"models\"\n\
        [warehouse]\nlocation = \"/var/topline\"\n",
    );
    let config = Config::load(Some(&project.path("deep/topline.toml")), &Environment::default()).expect("a good file");
    assert_eq!(config.sources[0].location, Location::Local(project.path("deep/../crm")));
    assert_eq!(config.models, Some(project.path("deep/models")));
    assert_eq!(config.warehouse.location, Location::Local("/var/topline".into()));
}

#[test]
fn a_source_of_the_sample_can_lie_elsewhere() {
    let sample = |variables| Config::sample(&environment(variables)).expect("the sample").sources;
    assert!(sample(&[]).iter().all(|source| matches!(source.location, Location::Sample(_))));
    let sources = sample(&[("TOPLINE_SOURCES_CRM_LOCATION", "/data/crm")]);
    let locations: Vec<_> = sources.iter().map(|source| (source.name.as_str(), &source.location)).collect();
    assert_eq!(locations.len(), 4);
    assert!(locations.contains(&("crm", &Location::Local("/data/crm".into()))), "{locations:?}");
    assert!(locations.contains(&("billing", &Location::Sample("billing"))), "{locations:?}");
}
