//! Tokens of an issuer beside topline's own.

use axum::Router;
use axum::routing::get;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::KeyPair;
use serde_json::json;
use tokio::net::TcpListener;

use super::*;

/// Serves an issuer's documents, and returns its name.
async fn issuer_with(key: &EncodingKey) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let issuer = format!("http://{}", listener.local_addr().expect("it is bound"));
    let discovery = json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") }).to_string();
    let key = Jwk::from_encoding_key(key, Algorithm::ES256).expect("a public key");
    let keys = json!({ "keys": [key] }).to_string();
    let router = Router::new()
        .route("/.well-known/openid-configuration", get(move || async { discovery }))
        .route("/keys", get(move || async { keys }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    issuer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_issuer_is_a_login() {
    let pair = KeyPair::generate().expect("a key");
    let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).expect("a key");
    let issuer = issuer_with(&key).await;
    let place = Place::new();
    let mut variables = place.variables();
    let settings = [("ISSUER", issuer.as_str()), ("AUDIENCE", "topline"), ("USER_CLAIM", "email")];
    variables.extend(settings.map(|(name, value)| (format!("TOPLINE_OIDC_{name}"), value.to_owned())));
    let server = Server::start(variables, NOW).await;
    let token = |audience: &str| {
        let claims = json!({ "iss": issuer, "aud": audience, "exp": NOW + 60, "email": "bob@example.com" });
        let token = jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &key).expect("it is signed");
        format!("Bearer {token}")
    };
    assert_eq!(who(&mut server.client_with(&token("topline")).await).await.expect("it is good"), "bob@example.com");
    assert_eq!(status(who(&mut server.client_with(&token("other")).await).await).0, Code::Unauthenticated);
    assert_eq!(who(&mut server.client_with(&basic("ann", PASSWORD)).await).await.expect("as before"), "ann");
    server.stop().await;
}
