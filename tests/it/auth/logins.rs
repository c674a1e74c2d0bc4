//! Logins by password and token, and that nothing is reached without one.

use arrow_flight::{Action, Criteria, Empty, FlightData, FlightDescriptor, HandshakeRequest, Ticket};
use futures::StreamExt;
use tonic::{Request, Status};

use super::*;

/// Sends a Handshake and returns the authorization that it is answered with.
async fn handshake(client: &mut Client, authorization: &str, messages: usize) -> Result<String, Status> {
    let sent = futures::stream::iter(std::iter::repeat_n(HandshakeRequest::default(), messages));
    answered(client.inner_mut().handshake(with(sent, authorization)).await)
}

fn answered<T>(answer: Result<tonic::Response<T>, Status>) -> Result<String, Status> {
    let answer = answer?;
    let header = answer.metadata().get("authorization").expect("a token in the first headers");
    Ok(header.to_str().expect("letters").to_owned())
}

fn with<T>(message: T, authorization: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", authorization.parse().expect("a header"));
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_gives_a_token_that_is_good_for_calls() {
    let place = Place::new();
    let server = place.serve().await;
    let mut client = server.client().await;
    client.handshake("ann", PASSWORD).await.expect("the password is right");
    assert_eq!(who(&mut client).await.expect("she is let in"), "ann");
    let padded = basic("ann", PASSWORD);
    assert!(padded.ends_with('='), "a test of padding");
    for (authorization, messages) in [
        (padded.clone(), 1),
        (padded.clone(), 0),
        (padded.trim_end_matches('=').to_owned(), 0),
        (padded.replace("Basic", "bASIC"), 0),
    ] {
        let bearer = handshake(&mut server.client().await, &authorization, messages).await.expect("a token");
        assert_eq!(who(&mut server.client_with(&bearer).await).await.expect("it is good"), "ann");
        let lower = bearer.replace("Bearer", "bearer");
        assert_eq!(who(&mut server.client_with(&lower).await).await.expect("it is good"), "ann");
        // As drivers begin that are given a token.
        assert_eq!(handshake(&mut server.client().await, &bearer, 0).await.expect("it is good"), bearer);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_answered_before_the_client_says_a_word() {
    let place = Place::new();
    let server = place.serve().await;
    let silent = futures::stream::pending::<HandshakeRequest>();
    let mut client = server.client().await;
    let request = with(silent, &basic("ann", PASSWORD));
    assert!(answered(client.inner_mut().handshake(request).await).is_ok());
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn password_and_token_are_good_on_a_call_itself() {
    let place = Place::new();
    let token = place.token("grafana");
    let server = place.serve().await;
    assert_eq!(who(&mut server.client_with(&basic("ann", PASSWORD)).await).await.expect("she is let in"), "ann");
    let bearer = format!("Bearer {token}");
    assert_eq!(who(&mut server.client_with(&bearer).await).await.expect("it is let in"), "grafana");
    assert_eq!(handshake(&mut server.client().await, &bearer, 1).await.expect("it is good"), bearer);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_is_answered_without_a_login() {
    let place = Place::new();
    let server = place.serve().await;
    let mut client = server.client().await;
    let client = client.inner_mut();
    let descriptor = || FlightDescriptor::new_cmd(b"x".to_vec());
    let data = || futures::stream::iter([FlightData::default()]);
    let refusals = [
        client.get_flight_info(descriptor()).await.err(),
        client.poll_flight_info(descriptor()).await.err(),
        client.get_schema(descriptor()).await.err(),
        client.do_get(Ticket::new("x")).await.err(),
        client.do_put(data()).await.err(),
        client.do_exchange(data()).await.err(),
        client.do_action(Action::new("GetSessionOptions", "")).await.err(),
        client.list_actions(Empty {}).await.err(),
        client.list_flights(Criteria::default()).await.err(),
        client.handshake(futures::stream::empty().boxed()).await.err(),
    ];
    for refusal in refusals {
        let refusal = refusal.expect("it is refused");
        assert_eq!(refusal.code(), Code::Unauthenticated, "{refusal}");
        assert_eq!(refusal.message(), "nobody has logged in; hint: send user and password, or a token");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_an_unknown_user_are_refused_alike() {
    let place = Place::new();
    place.token("grafana");
    let server = place.serve().await;
    let mut said = Vec::new();
    for (user, password) in [("ann", "wrong horse"), ("nobody", PASSWORD), ("grafana", ""), ("", "")] {
        let refusal = handshake(&mut server.client().await, &basic(user, password), 1).await.expect_err("refused");
        assert_eq!(refusal.code(), Code::Unauthenticated);
        said.push(refusal.message().to_owned());
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_some_wrong_passwords_there_is_a_wait() {
    let place = Place::new();
    let server = place.serve().await;
    for _ in 0..5 {
        let refusal = handshake(&mut server.client().await, &basic("ann", "wrong horse"), 1).await;
        assert!(refusal.expect_err("it is wrong").message().starts_with("user name or password is wrong"));
    }
    let refusal = handshake(&mut server.client().await, &basic("ann", PASSWORD), 1).await.expect_err("too soon");
    assert_eq!(refusal.code(), Code::Unauthenticated);
    assert_eq!(refusal.message(), "too many logins have failed; hint: try again in 1 seconds");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_authorizations_are_refused() {
    let place = Place::new();
    let server = place.serve().await;
    let long = format!("Bearer {}", "a".repeat(4000));
    for authorization in [
        "",
        "Basic",
        "Basic !!!",
        "Basic bm8tY29sb24=",
        "Bearer",
        "Bearer x.y.z",
        "Bearer topline_guess",
        &long,
        "Digest x",
    ] {
        let call = status(who(&mut server.client_with(authorization).await).await);
        assert_eq!(call.0, Code::Unauthenticated, "{authorization}: {}", call.1);
        let refusal = handshake(&mut server.client().await, authorization, 0).await.expect_err("refused");
        assert_eq!(refusal.code(), Code::Unauthenticated, "{authorization}: {refusal}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_survives_a_restart_and_expires() {
    let place = Place::new();
    let server = place.serve().await;
    let bearer = handshake(&mut server.client().await, &basic("ann", PASSWORD), 0).await.expect("a token");
    server.stop().await;
    let later = Server::start(place.variables(), NOW + 24 * 3600 - 1).await;
    assert_eq!(who(&mut later.client_with(&bearer).await).await.expect("it is good"), "ann");
    later.stop().await;
    let too_late = Server::start(place.variables(), NOW + 24 * 3600).await;
    assert_eq!(status(who(&mut too_late.client_with(&bearer).await).await).0, Code::Unauthenticated);
    too_late.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_come_and_go_while_the_server_runs() {
    let place = Place::new();
    let server = place.serve().await;
    let ann = handshake(&mut server.client().await, &basic("ann", PASSWORD), 0).await.expect("a token");
    let token = format!("Bearer {}", place.token("grafana"));
    assert_eq!(who(&mut server.client_with(&token).await).await.expect("it is new"), "grafana");
    place.edit(|users| users.set_password("ann", &Secret::new("another horse")));
    assert_eq!(status(who(&mut server.client_with(&ann).await).await).0, Code::Unauthenticated);
    let again = handshake(&mut server.client().await, &basic("ann", "another horse"), 0).await.expect("a token");
    assert_eq!(who(&mut server.client_with(&again).await).await.expect("it is new"), "ann");
    place.edit(|users| users.remove("ann"));
    place.edit(|users| users.remove("grafana"));
    for gone in [again, token] {
        assert_eq!(status(who(&mut server.client_with(&gone).await).await).0, Code::Unauthenticated);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_of_users_leaves_the_last_good_one() {
    let place = Place::new();
    let server = place.serve().await;
    std::fs::write(place.file("users.toml"), "[users.ann]\npasword = 7\n").expect("it is written");
    assert_eq!(who(&mut server.client_with(&basic("ann", PASSWORD)).await).await.expect("as before"), "ann");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_users_everyone_is_anonymous() {
    let server = Server::start(Vec::new(), NOW).await;
    let mut client = server.client().await;
    client.handshake("ann", "whatever").await.expect("everyone is let in");
    assert_eq!(who(&mut client).await.expect("it is served"), "anonymous");
    server.stop().await;
}
