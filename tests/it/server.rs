//! A Flight SQL server in the process of the test.

use std::net::SocketAddr;

use arrow_flight::sql::client::FlightSqlServiceClient;
use futures::TryStreamExt;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use topline::engine::Engine;
use topline::{Result, flight};

/// A server on a free port, which ends with the test.
pub struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<()>>,
}

impl Server {
    pub async fn over(engine: Engine) -> Self {
        let address = "127.0.0.1:0".parse().expect("an address");
        let listener = flight::bind(address, &engine).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(flight::serve(engine, listener, async { drop(stopped.await) }));
        Self { address, stop, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub async fn channel(&self) -> Channel {
        connected(self.endpoint()).await
    }

    pub async fn client(&self) -> FlightSqlServiceClient<Channel> {
        FlightSqlServiceClient::new(self.channel().await)
    }

    /// Returns a client that names itself so.
    pub async fn client_named(&self, name: &str) -> FlightSqlServiceClient<Channel> {
        let endpoint = self.endpoint().user_agent(name.to_owned()).expect("a header");
        FlightSqlServiceClient::new(connected(endpoint).await)
    }

    pub async fn stop(self) {
        drop(self.stop);
        self.task.await.expect("no panic").expect("a clean end");
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::from_shared(self.url()).expect("a URL")
    }
}

async fn connected(endpoint: Endpoint) -> Channel {
    endpoint.connect().await.expect("it listens")
}

/// Runs a query to its end, however it ends.
pub async fn run(client: &mut FlightSqlServiceClient<Channel>, sql: &str) {
    let done = async {
        let info = client.execute(sql.to_owned(), None).await?;
        let rows = client.do_get(info.endpoint[0].ticket.clone().expect("a ticket")).await?;
        rows.try_collect::<Vec<_>>().await
    };
    drop(done.await);
}
