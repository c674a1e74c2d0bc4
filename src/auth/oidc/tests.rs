use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::json;
use tokio::net::TcpListener;

use super::*;

const NOW: i64 = 1_780_000_000;
const MICROS: i64 = 1_000_000;

/// A configuration that reads the user alone.
const NO_CLAIMS: OidcConfig = OidcConfig {
    issuer: String::new(),
    audience: String::new(),
    user_claim: String::new(),
    role_claim: None,
    attribute_claims: Vec::new(),
};

/// An issuer on this machine, whose keys can be changed.
struct Published {
    address: SocketAddr,
    keys: std::sync::Mutex<Value>,
    requests: AtomicUsize,
}

impl Published {
    async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let published = Arc::new(Self { address, keys: Value::Null.into(), requests: AtomicUsize::new(0) });
        let discovery = |State(own): State<Arc<Self>>| async move {
            own.requests.fetch_add(1, Ordering::SeqCst);
            json!({ "issuer": own.issuer(), "jwks_uri": format!("http://{}/keys", own.address) }).to_string()
        };
        let keys = |State(own): State<Arc<Self>>| async move { own.keys.lock().expect("no panic").to_string() };
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .with_state(Arc::clone(&published));
        tokio::spawn(async move { axum::serve(listener, router).await });
        published
    }

    fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    fn publish(&self, keys: &[&Signer]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.published.clone()).collect();
        *self.keys.lock().expect("no panic") = json!({ "keys": keys });
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    fn client(&self) -> Issuer {
        let user_claim = "sub".to_owned();
        Issuer::new(OidcConfig { issuer: self.issuer(), audience: "topline".to_owned(), user_claim, ..NO_CLAIMS })
            .expect("HTTP")
    }
}

/// A key of an issuer.
struct Signer {
    algorithm: Algorithm,
    kid: String,
    key: EncodingKey,
    published: Value,
}

impl Signer {
    fn new(algorithm: Algorithm, kid: &str) -> Self {
        let key = if algorithm == Algorithm::RS256 {
            let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key");
            EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes())
        } else {
            let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
            EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes())
        };
        let key = key.expect("a key of this kind");
        let mut jwk = Jwk::from_encoding_key(&key, algorithm).expect("a public key");
        jwk.common.key_id = Some(kid.to_owned());
        let published = serde_json::to_value(jwk).expect("JSON");
        Self { algorithm, kid: kid.to_owned(), key, published }
    }

    fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.key).expect("it is signed")
    }
}

fn claims(issuer: &Issuer) -> Value {
    json!({ "iss": issuer.config.issuer, "aud": ["other", "topline"], "sub": "ann", "exp": NOW + 60, "nbf": NOW - 60 })
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

async fn user_at(issuer: &Issuer, token: &str, seconds: i64) -> Option<String> {
    let header = jsonwebtoken::decode_header(token).expect("a header");
    issuer.user(token, &header, seconds * MICROS).await.map(|caller| caller.name().to_owned())
}

async fn user(issuer: &Issuer, token: &str) -> Option<String> {
    user_at(issuer, token, NOW).await
}

#[tokio::test]
async fn a_good_token_names_its_user() {
    let published = Published::start().await;
    let (first, second) = (Signer::new(Algorithm::ES256, "a"), Signer::new(Algorithm::RS256, "b"));
    published.publish(&[&first, &second]);
    let issuer = published.client();
    for signer in [&first, &second] {
        assert_eq!(user(&issuer, &signer.sign(&claims(&issuer))).await.as_deref(), Some("ann"));
    }
    assert_eq!(published.requests(), 1, "the keys are kept");
}

#[tokio::test]
async fn every_claim_is_checked() {
    let published = Published::start().await;
    let signer = Signer::new(Algorithm::ES256, "a");
    published.publish(&[&signer]);
    let issuer = published.client();
    let good = || claims(&issuer);
    let refused = [
        with(good(), "iss", json!("http://127.0.0.1:1")),
        with(good(), "aud", json!("other")),
        with(good(), "aud", Value::Null),
        with(good(), "exp", json!(NOW - 31)),
        with(good(), "exp", json!("soon")),
        with(good(), "nbf", json!(NOW + 31)),
        with(good(), "sub", json!("")),
        with(good(), "sub", json!("a\nb")),
        with(good(), "sub", json!(7)),
    ];
    for claims in refused {
        assert_eq!(user(&issuer, &signer.sign(&claims)).await, None, "{claims}");
    }
    let mut without = good();
    without.as_object_mut().expect("an object").remove("exp");
    assert_eq!(user(&issuer, &signer.sign(&without)).await, None);
    for claims in [with(good(), "exp", json!(NOW - 29)), with(good(), "nbf", json!(f64::from(29) + NOW as f64))] {
        assert_eq!(user(&issuer, &signer.sign(&claims)).await.as_deref(), Some("ann"), "{claims}");
    }
}

#[tokio::test]
async fn another_key_of_the_same_name_is_not_accepted() {
    let published = Published::start().await;
    let (own, other) = (Signer::new(Algorithm::ES256, "a"), Signer::new(Algorithm::ES256, "a"));
    published.publish(&[&own]);
    let issuer = published.client();
    assert_eq!(user(&issuer, &other.sign(&claims(&issuer))).await, None);
    // What is published must not pass as the secret of another way to sign.
    let text = own.published.to_string();
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("a".to_owned());
    let secret = EncodingKey::from_secret(text.as_bytes());
    let token = jsonwebtoken::encode(&header, &claims(&issuer), &secret).expect("it is signed");
    assert_eq!(user(&issuer, &token).await, None);
}

#[tokio::test]
async fn a_new_key_is_fetched_and_a_flood_of_invented_ones_is_not() {
    let published = Published::start().await;
    let (old, new) = (Signer::new(Algorithm::ES256, "old"), Signer::new(Algorithm::ES256, "new"));
    published.publish(&[&old]);
    let issuer = published.client();
    assert!(user(&issuer, &old.sign(&claims(&issuer))).await.is_some());
    published.publish(&[&new]);
    for _ in 0..20 {
        assert!(user(&issuer, &new.sign(&claims(&issuer))).await.is_none(), "within the interval");
    }
    assert_eq!(published.requests(), 1);
    assert!(user_at(&issuer, &new.sign(&claims(&issuer)), NOW + 30).await.is_some());
    assert!(user_at(&issuer, &old.sign(&claims(&issuer)), NOW + 30).await.is_none(), "it was taken back");
    assert_eq!(published.requests(), 2);
}

#[tokio::test]
async fn keys_are_good_for_a_day_while_the_issuer_is_away() {
    let published = Published::start().await;
    let signer = Signer::new(Algorithm::ES256, "a");
    published.publish(&[&signer]);
    let issuer = published.client();
    let token = signer.sign(&with(claims(&issuer), "exp", json!(NOW + 200_000)));
    assert!(user(&issuer, &token).await.is_some());
    *published.keys.lock().expect("no panic") = json!("away");
    assert!(user_at(&issuer, &token, NOW + 3600).await.is_some());
    assert_eq!(published.requests(), 2, "it was asked");
    assert!(user_at(&issuer, &token, NOW + 86_399).await.is_some());
    assert!(user_at(&issuer, &token, NOW + 86_400).await.is_none());
}

#[tokio::test]
async fn keys_of_unknown_kinds_are_passed_over() {
    let published = Published::start().await;
    let signer = Signer::new(Algorithm::ES256, "a");
    let keys = json!({ "keys": [{ "kty": "LATTICE", "kid": "q" }, signer.published, 7] });
    *published.keys.lock().expect("no panic") = keys;
    let issuer = published.client();
    assert!(user(&issuer, &signer.sign(&claims(&issuer))).await.is_some());
}

#[tokio::test]
async fn an_issuer_of_another_name_is_not_believed() {
    let published = Published::start().await;
    let signer = Signer::new(Algorithm::ES256, "a");
    published.publish(&[&signer]);
    let user_claim = "sub".to_owned();
    let config = OidcConfig {
        issuer: format!("{}/", published.issuer()),
        audience: "topline".to_owned(),
        user_claim,
        ..NO_CLAIMS
    };
    let issuer = Issuer::new(config).expect("HTTP");
    assert!(user(&issuer, &signer.sign(&claims(&issuer))).await.is_none());
}

#[tokio::test]
async fn a_mail_address_counts_once_it_is_verified() {
    let published = Published::start().await;
    let signer = Signer::new(Algorithm::ES256, "a");
    published.publish(&[&signer]);
    let user_claim = "email".to_owned();
    let config = OidcConfig { issuer: published.issuer(), audience: "topline".to_owned(), user_claim, ..NO_CLAIMS };
    let issuer = Issuer::new(config).expect("HTTP");
    let named = with(claims(&issuer), "email", json!("ann@example.com"));
    let unverified = with(named.clone(), "email_verified", json!(false));
    assert_eq!(user(&issuer, &signer.sign(&unverified)).await, None);
    let verified = with(named, "email_verified", json!(true));
    assert_eq!(user(&issuer, &signer.sign(&verified)).await.as_deref(), Some("ann@example.com"));
}
