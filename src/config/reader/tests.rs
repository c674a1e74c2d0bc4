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

#[test]
fn files_of_users_and_certificates_are_counted_from_the_configuration() {
    let text = format!(
        "{SOURCE}[tls]\ncertificate = \"tls/cert.pem\"\nkey = \"/run/key.pem\"\n[auth]\nusers = \"users.toml\"\n\
         token_hours = 8\n[oidc]\nissuer = \"https://login.example.com\"\naudience = \"topline\"\n"
    );
    let config = read(Some(Path::new("/etc/topline.toml")), &text, &Environment::default()).expect("it is right");
    let security = config.security;
    let tls = security.tls.as_ref().expect("it is configured");
    assert_eq!(
        (tls.certificate.as_path(), tls.key.as_path()),
        (Path::new("/etc/tls/cert.pem"), Path::new("/run/key.pem"))
    );
    assert_eq!(security.users.as_deref(), Some(Path::new("/etc/users.toml")));
    assert_eq!((security.token_hours, security.is_plaintext_allowed), (8, false));
    assert_eq!(security.oidc.map(|oidc| oidc.user_claim).as_deref(), Some("sub"));
}

#[test]
fn every_problem_of_security_is_listed() {
    let text = format!(
        "{SOURCE}[tls]\ncertificate = \"cert.pem\"\nallow_plaintext = \"yes\"\n[auth]\nuser = \"users.toml\"\n\
         token_hours = 0\n[oidc]\nissuer = \"http://login.example.com\"\n"
    );
    let found = problems(&text);
    for part in [
        "[tls]: certificate and key are both needed; hint: name two PEM files",
        "[tls] allow_plaintext: expected true or false, found \"yes\"",
        "unknown key \"user\" in [auth]; hint: did you mean \"users\"?",
        "[auth] token_hours: expected a whole number from 1 to 720, found integer 0",
        "[oidc]: key \"audience\" is missing; hint: the \"aud\" of the tokens that are meant for topline",
        "[oidc] issuer: expected an https:// URL, found \"http://login.example.com\"",
    ] {
        assert!(found.contains(part), "{part} is not in {found}");
    }
}

#[test]
fn variables_name_security_too() {
    let environment = Environment::from_variables(
        [
            ("TOPLINE_TLS_ALLOW_PLAINTEXT", "true"),
            ("TOPLINE_AUTH_TOKEN_HOURS", "1"),
            ("TOPLINE_AUTH_USERS", "users.toml"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let security = read(None, SOURCE, &environment).expect("a good configuration").security;
    assert!(security.is_plaintext_allowed && security.is_login_required());
    assert_eq!((security.token_hours, security.users.as_deref()), (1, Some(Path::new("users.toml"))));
}

fn traces(text: &str, variables: &[(&str, &str)]) -> Result<Option<(String, String, f64)>> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let environment = Environment::from_variables(variables);
    let config = read(Some(Path::new("topline.toml")), &format!("{SOURCE}{text}"), &environment)?;
    Ok(config.traces.map(|traces| (traces.endpoint.to_string(), traces.service, traces.ratio)))
}

#[test]
fn a_collector_is_named_by_the_file_or_by_the_variables_of_its_makers() {
    let found = |text: &str, variables: &[(&str, &str)]| traces(text, variables).expect("it is right");
    let (base, exact) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    let of = |url: &str, service: &str, ratio: f64| Some((url.to_owned(), service.to_owned(), ratio));
    assert_eq!(found("", &[]), None);
    assert_eq!(found("[traces]\nratio = 0.5\n", &[]), None, "no collector is named");
    let file = "[traces]\nendpoint = \"https://otlp.example/otlp/\"\nservice = \"revenue\"\nratio = 0.1\n";
    assert_eq!(found(file, &[(base, "http://elsewhere")]), of("https://otlp.example/otlp/v1/traces", "revenue", 0.1));
    assert_eq!(found("", &[(base, "http://c:4318")]), of("http://c:4318/v1/traces", "topline", 1.0));
    assert_eq!(found("", &[(base, "http://c"), (exact, "http://d/x")]), of("http://d/x", "topline", 1.0));
    let named = [(base, "http://c:4318/v1/traces"), ("OTEL_SERVICE_NAME", "mine")];
    assert_eq!(found("", &named), of("http://c:4318/v1/traces", "mine", 1.0));
    assert_eq!(found("", &[(base, "http://c"), ("OTEL_SDK_DISABLED", "true")]), None);
    assert_eq!(found("", &[(base, "http://c"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]), None);
    assert_eq!(found("", &[("TOPLINE_TRACES_ENDPOINT", "http://c")]), of("http://c/v1/traces", "topline", 1.0));
}

#[test]
fn every_problem_of_traces_is_listed_without_what_is_secret() {
    let text = "[traces]\nendpoint = \"https://me:secret@otlp.example\"\nratio = 2\nsql = \"all\"\nservce = \"x\"\n";
    let found = traces(text, &[]).expect_err("it is wrong").to_string();
    for part in [
        "[traces] endpoint: expected a URL such as http://127.0.0.1:4318, found \"one with a user\"; hint: spans go by OTLP",
        "[traces] ratio: expected a share from 0 to 1, found integer 2",
        "[traces] sql: expected true or false, found \"all\"",
        "unknown key \"servce\" in [traces]; hint: did you mean \"service\"?",
    ] {
        assert!(found.contains(part), "{part} is not in {found}");
    }
    let variables =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"), ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=secret, secret")];
    let found = traces("", &variables).expect_err("a header without a name").to_string();
    assert!(found.contains("\"OTEL_EXPORTER_OTLP_HEADERS\": expected NAME=VALUE"), "{found}");
    assert!(!found.contains("secret"), "{found}");
}
