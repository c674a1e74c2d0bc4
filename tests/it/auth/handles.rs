//! What a server gives a client to keep is that client's user's alone.

use arrow_flight::Action;
use arrow_flight::sql::{CommandPreparedStatementQuery, ProstMessageExt};
use arrow_flight::{CancelFlightInfoRequest, Ticket};
use prost::Message;
use tonic::Request;

use super::*;

async fn two_users(server: &Server, place: &Place) -> (Client, Client) {
    let bob = format!("Bearer {}", place.token("bob"));
    (server.client_with(&basic("ann", PASSWORD)).await, server.client_with(&bob).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_of_one_user_is_refused_for_another() {
    let place = Place::new();
    let server = place.serve().await;
    let (mut ann, mut bob) = two_users(&server, &place).await;
    let info = ann.execute("select 7".to_owned(), None).await.expect("it plans");
    let ticket = info.endpoint[0].ticket.clone().expect("a ticket");
    let (code, text) = status(bob.do_get(ticket.clone()).await.map(|_| ()));
    assert_eq!(code, Code::InvalidArgument);
    assert!(text.starts_with("the handle or ticket is none that this server has given to this user"), "{text}");
    let cancel = Action::new("CancelFlightInfo", CancelFlightInfoRequest::new(info).encode_to_vec());
    assert_eq!(status(bob.do_action(cancel).await.map(|_| ())).0, Code::InvalidArgument);
    assert!(ann.do_get(ticket).await.is_ok());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_statement_of_one_user_is_refused_for_another() {
    let place = Place::new();
    let server = place.serve().await;
    let (mut ann, mut bob) = two_users(&server, &place).await;
    let mut handles = Vec::new();
    for _ in 0..2 {
        let mut prepared = ann.prepare("select 7".to_owned(), None).await.expect("it prepares");
        let info = prepared.execute().await.expect("it plans");
        let command = arrow_flight::sql::Any::decode(info.flight_descriptor.expect("it is echoed").cmd).expect("Any");
        let command: CommandPreparedStatementQuery = command.unpack().expect("a command").expect("of this kind");
        handles.push(command.prepared_statement_handle);
    }
    assert_ne!(handles[0], handles[1], "nobody can guess one");
    let command = CommandPreparedStatementQuery { prepared_statement_handle: handles.remove(0) };
    let ticket = Ticket::new(command.as_any().encode_to_vec());
    assert_eq!(status(bob.do_get(ticket.clone()).await.map(|_| ())).0, Code::InvalidArgument);
    assert!(ann.do_get(ticket).await.is_ok());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_good_for_a_day_on_every_server_with_the_key() {
    let place = Place::new();
    let server = place.serve().await;
    let mut ann = server.client_with(&basic("ann", PASSWORD)).await;
    let info = ann.execute("select 7".to_owned(), None).await.expect("it plans");
    let ticket = info.endpoint[0].ticket.clone().expect("a ticket");
    server.stop().await;
    for (seconds, is_good) in [(24 * 3600 - 1, true), (24 * 3600, false)] {
        let later = Server::start(place.variables(), NOW + seconds).await;
        let mut ann = later.client_with(&basic("ann", PASSWORD)).await;
        assert_eq!(ann.do_get(ticket.clone()).await.is_ok(), is_good, "after {seconds} s");
        later.stop().await;
    }
    let elsewhere = Place::new();
    let stranger = elsewhere.serve().await;
    let mut ann = stranger.client_with(&basic("ann", PASSWORD)).await;
    assert_eq!(status(ann.do_get(ticket).await.map(|_| ())).0, Code::InvalidArgument);
    stranger.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_one_user_is_refused_for_another() {
    let place = Place::new();
    let server = place.serve().await;
    let (mut ann, mut bob) = two_users(&server, &place).await;
    let mut request = Request::new(Action::new("SetSessionOptions", ""));
    request.metadata_mut().insert("authorization", basic("ann", PASSWORD).parse().expect("a header"));
    let answer = ann.inner_mut().do_action(request).await.expect("it is set");
    let cookie = answer.metadata().get("set-cookie").expect("a cookie").to_str().expect("letters").to_owned();
    bob.set_header("cookie", cookie.clone());
    let (code, text) = status(who(&mut bob).await);
    assert_eq!(code, Code::InvalidArgument);
    assert!(text.starts_with("the session is none that this server has given to this user"), "{text}");
    ann.set_header("cookie", cookie);
    assert_eq!(who(&mut ann).await.expect("it is hers"), "ann");
    server.stop().await;
}
