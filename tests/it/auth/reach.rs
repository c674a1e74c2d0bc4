//! Which addresses are served how.

use topline::{Error, ErrorKind};

use super::*;

/// An address that other machines reach.
const EVERYWHERE: &str = "0.0.0.0:0";

async fn bind(variables: Vec<(String, String)>) -> Result<flight::Listener> {
    let config = Config::sample(&Environment::from_variables(variables)).expect("a configuration");
    let engine = Engine::open(config).await.expect("the sample opens");
    flight::bind(EVERYWHERE.parse().expect("an address"), &engine).await
}

fn refusal(bound: Result<flight::Listener>) -> Error {
    let error = bound.expect_err("it is refused");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.hint().is_some());
    error
}

#[tokio::test]
async fn an_address_that_others_reach_needs_logins() {
    insta::assert_snapshot!(
        refusal(bind(Vec::new()).await),
        @r#"address "0.0.0.0:0" can be reached from other machines, and the server has no authentication"#
    );
}

#[tokio::test]
async fn an_address_that_others_reach_needs_tls_or_a_word() {
    let place = Place::new();
    insta::assert_snapshot!(
        refusal(bind(place.variables()).await),
        @r#"address "0.0.0.0:0" can be reached from other machines, and passwords would cross the network in plain text"#
    );
    let mut variables = place.variables();
    variables.push(("TOPLINE_TLS_ALLOW_PLAINTEXT".to_owned(), "true".to_owned()));
    assert!(bind(variables).await.is_ok());
}

#[tokio::test]
async fn a_file_of_users_that_is_missing_is_said_before_the_port_is_taken() {
    let place = Place::new();
    std::fs::remove_file(place.file("users.toml")).expect("it is there");
    let mut variables = place.variables();
    variables.push(("TOPLINE_TLS_ALLOW_PLAINTEXT".to_owned(), "true".to_owned()));
    let error = refusal(bind(variables).await);
    assert!(error.message().ends_with("users.toml\" does not exist"), "{error}");
}
