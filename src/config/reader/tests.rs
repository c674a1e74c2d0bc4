use super::*;
use crate::config::Location;

fn problems(text: &str) -> String {
    read(Some(Path::new("topline.toml")), text, &Environment::default())
        .expect_err("the configuration is wrong")
        .to_string()
}

const SOURCE: &str = "[sources.crm]\nconnector = \"canonical\"\nlocation = \"crm\"\n";

#[test]
fn every_problem_is_listed_with_the_nearest_key() {
    let text = format!(
        "{SOURCE}[attribution]\nlookback_day = 3\nhalf_life_days = \"x\"\n[limits]\nmemory = \"1 MB\"\n[flight]\nlisten = 7\n[atribution]\n"
    );
    let found = problems(&text);
    assert!(found.starts_with("the configuration is wrong: 5 problems\n"), "{found}");
    for part in [
        "unknown key \"lookback_day\" in [attribution]; hint: did you mean \"lookback_days\"?",
        "[attribution] half_life_days: expected a number, found \"x\"",
        "[limits] memory: expected a size of at least 32 MB such as \"512 MB\", found \"1 MB\"",
        "[flight] listen: expected a text, found integer 7",
        "unknown section \"[atribution]\"",
    ] {
        assert!(found.contains(part), "{part} is not in {found}");
    }
}

#[test]
fn the_environment_overrides_and_its_slips_are_named() {
    let environment = Environment::from_variables([
        ("TOPLINE_FLIGHT_LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
        ("TOPLINE_UNIT_ECONOMICS_GROSS_MARGIN".to_owned(), "0.7".to_owned()),
        ("TOPLINE_SOURCES_CRM_LOCATION".to_owned(), "elsewhere".to_owned()),
    ]);
    let config = read(Some(Path::new("/etc/topline.toml")), SOURCE, &environment).expect("a good configuration");
    assert_eq!(config.listen.port(), 0);
    assert_eq!(config.settings.number("unit_economics.gross_margin"), 0.7);
    assert_eq!(config.sources[0].location, Location::Local("/etc/elsewhere".into()));
    let wrong = Environment::from_variables([("TOPLINE_FLIGHT_LISTN".to_owned(), "x".to_owned())]);
    let fault = read(None, SOURCE, &wrong).expect_err("an unknown variable");
    assert!(fault.message().contains("did you mean \"TOPLINE_FLIGHT_LISTEN\"?"), "{fault}");
}

#[test]
fn sizes_are_read_in_their_units() {
    assert_eq!(parse_bytes("512 MB"), Some(512 << 20));
    assert_eq!(parse_bytes("2GiB"), Some(2 << 30));
    assert_eq!(parse_bytes("lots"), None);
    assert_eq!(parse_bytes("99999999999999 TB"), None);
}
