//! Flight SQL: the engine as BI tools and drivers reach it, over gRPC.
//!
//! [`bind`] takes the port, [`serve`] answers until it is told to stop. `listener` says who may be served where, `tls` and
//! `guard` stand in front of every call: who calls is known before anything is done, and `inflow` bounds what all of them
//! send. `service` and `calls` have the protocol, `query` the way from a statement to a stream, `write` statements that
//! change the sandbox, `upload` what clients send, `handle` what tickets and prepared statements carry, `metadata` the
//! catalog as clients list it, `session` and `cookie` the options of a client, `messages` how rows are cut into messages,
//! `pace` and `running` what a stream owes its client and how it ends, `download` how messages go out. Everything that a
//! client needs between two calls travels with the client, sealed with the server's key: any instance that shares the key
//! answers, and a restart loses nothing where a warehouse or `[auth] signing_key` keeps the key.
//! Knows no view by name. Start at [`serve`].

mod actions;
mod calls;
mod client;
mod columns;
mod cookie;
mod download;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod guard;
mod handle;
mod inflow;
mod keys;
mod listener;
mod messages;
mod metadata;
mod pace;
mod planned;
mod query;
mod running;
mod service;
mod session;
mod sql_info;
mod status;
mod tables;
mod tls;
mod types;
mod upload;
mod workers;
mod write;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::traces::Traces;
use download::Wire;
use guard::Guarded;
pub use listener::{Listener, bind};
use running::Running;
use service::Service;

/// The largest message that is taken in: a batch of parameters, or a handle that carries one.
const MESSAGE_BYTES_IN_MAX: usize = 64 << 20;

/// The largest set of headers that is taken in: JDBC sends every unknown URL parameter as a header, and proxies add
/// cookies and tokens of theirs.
const HEADER_BYTES_MAX: u32 = 64 << 10;

/// How often an idle connection is asked whether its client is still there; load balancers cut after minutes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// How long a client may take to answer that; a laptop on a poor network answers within seconds.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long connections may take to close once their streams were cut.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// Answers clients until `shutdown` ends. Calls that run then may come to their end within `[flight] grace_seconds`, new
/// ones get UNAVAILABLE meanwhile; what still streams after that is cut with an error.
///
/// The listener takes connections from the moment it is bound, so a client may connect before this is called.
///
/// ```no_run
/// # async fn example() -> topline::Result<()> {
/// use topline::config::{Config, Environment};
/// use topline::engine::Engine;
///
/// let engine = Engine::open(Config::load(None, &Environment::of_process())?).await?;
/// let listener = topline::flight::bind(engine.config().listen, &engine).await?;
/// topline::flight::serve(engine, listener, async { drop(tokio::signal::ctrl_c().await) }).await
/// # }
/// ```
///
/// # Errors
/// `Internal` where the listener breaks, `Config` where a header for the collector of traces is none.
pub async fn serve(engine: Engine, listener: Listener, shutdown: impl Future<Output = ()> + Send) -> Result<()> {
    let Listener { tcp, certificates, door, seal } = listener;
    let grace = engine.config().grace;
    let (running, guarded) = (Arc::new(Running::new()), engine.clone());
    let traces = Arc::new(Traces::open(engine.config().traces.as_ref(), engine.clock())?);
    let service = Wire::new(Service::new(engine, Arc::clone(&running), door.clone(), seal)?);
    let tcp = TcpIncoming::from(tcp).with_nodelay(Some(true)).with_keepalive(Some(KEEPALIVE_INTERVAL));
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    let router = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .add_service(Guarded::new(door, guarded, Arc::clone(&traces), service));
    let mut server = match certificates {
        Some(certificates) => router.serve_with_incoming_shutdown(tls::incoming(tcp, certificates), stopped).boxed(),
        None => router.serve_with_incoming_shutdown(tcp, stopped).boxed(),
    };
    let drained = async {
        shutdown.await;
        let end = Instant::now() + grace;
        // Those that are left are cut.
        drop(timeout_at(end, running.drain()).await);
        running.stop();
        end
    };
    let ended = tokio::select! {
        ended = &mut server => ended,
        end = drained => {
            drop(stop);
            timeout_at(end.max(Instant::now() + CLOSE_GRACE), &mut server).await.unwrap_or(Ok(()))
        }
    };
    traces.close().await;
    ended.map_err(|cause| Error::new(ErrorKind::Internal, "the server broke off").with_source(cause))
}

#[cfg(test)]
mod tests {
    use arrow_flight::sql::client::FlightSqlServiceClient;
    use futures::TryStreamExt;
    use tonic::transport::Endpoint;

    use super::*;
    use crate::config::{Config, Environment};

    /// More rows than any client waits for.
    const ENDLESS: &str = "with d(v) as (values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) \
        select a.v from d as a cross join d as b cross join d as c cross join d as e cross join d as f \
        cross join d as g cross join d as h cross join d as i cross join d as j";

    #[tokio::test(flavor = "multi_thread")]
    async fn a_stream_that_outlasts_the_grace_is_cut_with_an_error() {
        let config = Config::sample(&Environment::default()).expect("the sample");
        let engine = Engine::open(Config { grace: Duration::ZERO, ..config }).await.expect("it opens");
        let address = "127.0.0.1:0".parse().expect("an address");
        let listener = bind(address, &engine).await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(serve(engine, listener, async { drop(stopped.await) }));
        let channel = Endpoint::from_shared(url).expect("a URL").connect().await.expect("it listens");
        let mut client = FlightSqlServiceClient::new(channel);
        let info = client.execute(ENDLESS.to_owned(), None).await.expect("it plans");
        let ticket = info.endpoint[0].ticket.clone().expect("a ticket");
        let mut stream = client.do_get(ticket).await.expect("it starts");
        assert!(stream.try_next().await.expect("a first batch").is_some());
        drop(stop);
        let ended: std::result::Result<Vec<_>, _> = stream.try_collect().await;
        assert!(ended.expect_err("it is cut").to_string().contains("because the server stops"));
        server.await.expect("no panic").expect("a clean end");
    }
}
