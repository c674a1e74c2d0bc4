//! Roles over Flight SQL: each call is made by a user with the role that the user has then.

use arrow::array::AsArray;
use arrow::record_batch::RecordBatch;
use arrow_flight::FlightInfo;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{CommandGetDbSchemas, CommandGetTables};
use futures::TryStreamExt;
use tonic::Code;
use tonic::transport::Channel;
use topline::auth::users::Users;
use topline::domain::clock::Clock;

use super::{Firm, configuration};
use crate::server::Server;

const ROLES: &str = r#"
[auth]
users = "users.toml"

[roles.sales]
read = ["crm", "metrics", "published", "meta"]
hide = ["crm.contacts"]
filters = [{ table = "crm.accounts", where = "segment = user_attribute('segment')" }]

[roles.finance]
read = ["metrics", "published", "meta"]
"#;

type Client = FlightSqlServiceClient<Channel>;

/// A server with two users, and their tokens.
struct Place {
    firm: Firm,
    server: Server,
}

impl Place {
    async fn new() -> Self {
        let firm = Firm::with("").await;
        firm.project.text("topline.toml", &configuration(ROLES));
        let users = firm.project.path("users.toml");
        Users::edit(&users, |users| {
            users.add("ann", None)?;
            users.grant("ann", Some("sales".to_owned()), [("segment".to_owned(), "smb".to_owned())].into())?;
            users.add("bob", None)?;
            users.grant("bob", Some("finance".to_owned()), [].into())?;
            users.add("eve", None)
        })
        .expect("they are added");
        let engine = firm.project.open().await.expect("the project opens");
        let server = Server::over(engine.clone()).await;
        Self { firm: Firm { engine, ..firm }, server }
    }

    async fn client(&self, name: &str) -> Client {
        let token = Users::edit(&self.firm.project.path("users.toml"), |users| users.add_token(name, Clock::System));
        let mut client = self.server.client().await;
        client.set_header("authorization", format!("Bearer {}", token.expect("the user is there").reveal()));
        client
    }

    fn grant(&self, name: &str, role: &str, segment: &str) {
        let attributes = [("segment".to_owned(), segment.to_owned())].into();
        let changed = Users::edit(&self.firm.project.path("users.toml"), |users| {
            users.grant(name, Some(role.to_owned()), attributes)
        });
        changed.expect("the user is there");
    }
}

async fn fetched(client: &mut Client, info: FlightInfo) -> Result<Vec<String>, FlightError> {
    let ticket = info.endpoint[0].ticket.clone().expect("every endpoint has a ticket");
    let batches: Vec<RecordBatch> = client.do_get(ticket).await?.try_collect().await?;
    Ok(batches.iter().flat_map(crate::support::texts).map(|row| row.join(" | ")).collect())
}

async fn asked(client: &mut Client, sql: &str) -> Result<Vec<String>, FlightError> {
    let info = client.execute(sql.to_owned(), None).await?;
    fetched(client, info).await
}

fn refusal<T: std::fmt::Debug>(told: Result<T, FlightError>) -> (Code, String) {
    match told.expect_err("it is refused") {
        FlightError::Tonic(status) => (status.code(), status.message().to_owned()),
        other => panic!("not a status: {other}"),
    }
}

const NAMES: &str = "select name from crm.accounts order by 1";

#[tokio::test(flavor = "multi_thread")]
async fn each_call_is_made_with_the_role_that_its_user_has_then() {
    let place = Place::new().await;
    let mut ann = place.client("ann").await;
    assert_eq!(asked(&mut ann, NAMES).await.expect("she may"), ["Acme"]);
    let mut prepared = ann.prepare(NAMES.to_owned(), None).await.expect("she may");
    let announced = ann.execute(NAMES.to_owned(), None).await.expect("she may");
    // Between the plan and the fetch, which comes at once, she becomes another.
    place.grant("ann", "sales", "enterprise");
    assert_eq!(fetched(&mut ann, announced).await.expect("she may"), ["Xylophone"]);
    let info = prepared.execute().await.expect("she may");
    assert_eq!(fetched(&mut ann, info.clone()).await.expect("she may"), ["Xylophone"]);
    let announced = ann.execute(NAMES.to_owned(), None).await.expect("she may");
    place.grant("ann", "finance", "enterprise");
    for told in [fetched(&mut ann, announced).await, fetched(&mut ann, info).await, asked(&mut ann, NAMES).await] {
        let (code, text) = refusal(told);
        assert_eq!(code, Code::NotFound, "{text}");
        assert!(text.starts_with("table \"crm.accounts\" does not exist"), "{text}");
    }
    // A change of the roles themselves holds at once too.
    let announced = ann.execute("select count(*) from nrr".to_owned(), None).await.expect("she may");
    place
        .firm
        .replace(&configuration(&ROLES.replace("[roles.finance]\nread = [\"metrics\", ", "[roles.finance]\nread = [")));
    assert_eq!(refusal(fetched(&mut ann, announced).await).0, Code::NotFound);
    let mut eve = place.client("eve").await;
    let (code, text) = refusal(asked(&mut eve, "select 1").await);
    assert_eq!(code, Code::PermissionDenied);
    assert!(text.starts_with("user \"eve\" has no role, and may read nothing"), "{text}");
    place.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_the_protocol_have_what_the_user_sees() {
    let place = Place::new().await;
    let (mut ann, mut bob) = (place.client("ann").await, place.client("bob").await);
    let texts = |batches: &[RecordBatch], column: usize| -> Vec<String> {
        let of = |batch: &RecordBatch| {
            batch.column(column).as_string::<i32>().iter().flatten().map(str::to_owned).collect::<Vec<_>>()
        };
        batches.iter().flat_map(of).collect()
    };
    async fn batches(client: &mut Client, info: FlightInfo) -> Vec<RecordBatch> {
        let ticket = info.endpoint[0].ticket.clone().expect("a ticket");
        client.do_get(ticket).await.expect("it is served").try_collect().await.expect("it is listed")
    }
    let info = bob.get_db_schemas(CommandGetDbSchemas::default()).await.expect("it is served");
    assert_eq!(texts(&batches(&mut bob, info).await, 1), ["meta", "metrics", "published"]);
    for include_schema in [false, true] {
        let command = CommandGetTables {
            db_schema_filter_pattern: Some("crm".to_owned()),
            include_schema,
            ..CommandGetTables::default()
        };
        let info = ann.get_tables(command.clone()).await.expect("it is served");
        let names = texts(&batches(&mut ann, info).await, 2);
        assert!(names.contains(&"accounts".to_owned()) && !names.contains(&"contacts".to_owned()), "{names:?}");
        let info = bob.get_tables(command).await.expect("it is served");
        assert_eq!(texts(&batches(&mut bob, info).await, 2), Vec::<String>::new());
    }
    bob.set_header("schema", "crm");
    let (code, text) = refusal(asked(&mut bob, "select 1").await);
    assert_eq!(code, Code::NotFound, "{text}");
    place.server.stop().await;
}
