//! Who is let in: logins, tokens, TLS, and handles that are one user's alone, with a server and clients of the protocol.

mod handles;
mod logins;
mod oidc;
mod reach;
mod tls;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use arrow::array::AsArray;
use arrow::record_batch::RecordBatch;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::TryStreamExt;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use topline::auth::Secret;
use topline::auth::users::Users;
use topline::config::{Config, Environment};
use topline::domain::clock::Clock;
use topline::engine::Engine;
use topline::{Result, flight};

/// Ann's password; it needs padding in base64.
const PASSWORD: &str = "correct horse";

/// An instant at which all servers begin.
const NOW: i64 = 1_780_000_000;

/// A folder with a file of users, in which ann has a password.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().expect("a folder") };
        place.edit(|users| users.add("ann", Some(&Secret::new(PASSWORD))));
        place
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn edit<T>(&self, change: impl FnOnce(&mut Users) -> Result<T>) -> T {
        Users::edit(&self.file("users.toml"), change).expect("the file is changed")
    }

    fn token(&self, name: &str) -> String {
        self.edit(|users| {
            let _ = users.add(name, None);
            users.add_token(name, Clock::System)
        })
        .reveal()
        .to_owned()
    }

    /// Returns the variables of a server with these users and a warehouse.
    fn variables(&self) -> Vec<(String, String)> {
        vec![
            variable("TOPLINE_AUTH_USERS", &self.file("users.toml")),
            variable("TOPLINE_WAREHOUSE_LOCATION", &self.file("warehouse")),
        ]
    }

    async fn serve(&self) -> Server {
        Server::start(self.variables(), NOW).await
    }
}

fn variable(name: &str, file: &Path) -> (String, String) {
    (name.to_owned(), file.display().to_string())
}

/// A server over the sample.
struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<()>>,
}

impl Server {
    async fn start(variables: Vec<(String, String)>, seconds: i64) -> Self {
        let config = Config::sample(&Environment::from_variables(variables)).expect("a configuration");
        let engine = Engine::open_at(config, Clock::Fixed(seconds * 1_000_000)).await.expect("the sample opens");
        let address = "127.0.0.1:0".parse().expect("an address");
        let listener = flight::bind(address, &engine).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(flight::serve(engine, listener, async { drop(stopped.await) }));
        Self { address, stop, task }
    }

    async fn client(&self) -> Client {
        let url = format!("http://{}", self.address);
        FlightSqlServiceClient::new(Endpoint::from_shared(url).expect("a URL").connect().await.expect("it listens"))
    }

    /// Returns a client that sends this authorization with every call.
    async fn client_with(&self, authorization: &str) -> Client {
        let mut client = self.client().await;
        client.set_header("authorization", authorization);
        client
    }

    async fn stop(self) {
        drop(self.stop);
        self.task.await.expect("no panic").expect("a clean end");
    }
}

type Client = FlightSqlServiceClient<Channel>;

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// Returns who the server says that the client is.
async fn who(client: &mut Client) -> Result<String, FlightError> {
    let info = client.execute("select current_user as me".to_owned(), None).await?;
    let ticket = info.endpoint[0].ticket.clone().expect("every endpoint has a ticket");
    let batches: Vec<RecordBatch> = client.do_get(ticket).await?.try_collect().await?;
    Ok(batches[0].column(0).as_string::<i32>().value(0).to_owned())
}

fn status<T: std::fmt::Debug>(result: Result<T, FlightError>) -> (Code, String) {
    match result.expect_err("it is refused") {
        FlightError::Tonic(status) => (status.code(), status.message().to_owned()),
        other => panic!("not a status: {other}"),
    }
}
