//! Parameters that are too many, too large or of another type: bounded, and said clearly.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use futures::TryStreamExt;
use tonic::Code;
use tonic::transport::Channel;

use crate::server::Server;
use crate::support;

/// What clients that expect large handles take.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

type Client = FlightSqlServiceClient<Channel>;

fn row(values: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter([("a", values)]).expect("one column")
}

fn text(bytes: usize) -> RecordBatch {
    row(Arc::new(StringArray::from(vec!["x".repeat(bytes)])))
}

async fn client(server: &Server) -> Client {
    let inner = FlightServiceClient::new(server.channel().await);
    let inner = inner.max_decoding_message_size(MESSAGE_BYTES_MAX).max_encoding_message_size(MESSAGE_BYTES_MAX);
    FlightSqlServiceClient::new_from_inner(inner)
}

/// Returns the rows of a query with these parameters.
async fn asked(client: &mut Client, sql: &str, parameters: RecordBatch) -> Result<Vec<RecordBatch>, FlightError> {
    let mut prepared = client.prepare(sql.to_owned(), None).await?;
    prepared.set_parameters(parameters)?;
    let info = prepared.execute().await?;
    client.do_get(info.endpoint[0].ticket.clone().expect("a ticket")).await?.try_collect().await
}

fn refusal(told: Result<Vec<RecordBatch>, FlightError>) -> (Code, String) {
    match told.expect_err("it is refused") {
        FlightError::Tonic(status) => (status.code(), status.message().to_owned()),
        other => panic!("not a status: {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_have_a_bound_in_bytes_and_rows() {
    let server = Server::over(support::sample().await).await;
    let mut client = client(&server).await;
    let found = asked(&mut client, "select length(?) as n", text(29 << 20)).await.expect("it fits");
    assert_eq!(support::texts(&found[0]), [[(29 << 20).to_string()]]);
    let message = "the parameters have more than 10000 rows or 30 MiB; hint: bind fewer rows at once";
    for (sql, parameters) in [
        ("select length(?) as n", text(31 << 20)),
        ("select ? + 1 as n", row(Arc::new(Int64Array::from_iter_values(0..100_000)))),
    ] {
        assert_eq!(refusal(asked(&mut client, sql, parameters).await), (Code::ResourceExhausted, message.to_owned()));
    }
    let many = row(Arc::new(Int64Array::from_iter_values(0..1_000)));
    let found = asked(&mut client, "select ? + 1 as n", many).await.expect("they fit");
    let sum: i64 = found.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).sum();
    assert_eq!(sum, 500_500, "the query runs once for each row");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_of_another_type_is_said_clearly() {
    let server = Server::over(support::sample().await).await;
    let mut client = client(&server).await;
    let words: ArrayRef = Arc::new(StringArray::from(vec!["many"]));
    for (sql, told) in [
        ("select name from crm.accounts where employee_count > ?", "many"),
        ("select name from crm.accounts where created_at > ?", "many"),
        ("select name from crm.accounts limit ?", "expected LIMIT to be an integer or null, but got text"),
    ] {
        let (code, text) = refusal(asked(&mut client, sql, row(Arc::clone(&words))).await);
        assert_eq!(code, Code::InvalidArgument, "{sql}: {text}");
        assert!(text.contains(told), "{sql}: {text}");
    }
    let two = RecordBatch::try_from_iter([("a", Arc::clone(&words)), ("b", words)]).expect("two columns");
    let (code, text) = refusal(asked(&mut client, "select ? as one", two).await);
    assert_eq!((code, text.as_str()), (Code::InvalidArgument, "the query has 1 parameters, but 2 are bound"));
    server.stop().await;
}
