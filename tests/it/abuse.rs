//! What someone with a login tries who means no good: all refused or bounded, and the server answers afterwards.

use std::time::Duration;

use arrow_flight::Ticket;
use arrow_flight::sql::client::FlightSqlServiceClient;
use futures::TryStreamExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::Channel;
use topline::config::{Config, Environment, Limits};
use topline::engine::Engine;

use crate::server::Server;

/// How an abuse ends: by the limit that it reaches, because it is not allowed, or because there is no such thing.
const LIMIT: &[Code] = &[Code::ResourceExhausted];
const REFUSED: &[Code] = &[Code::PermissionDenied];
const WRONG: &[Code] = &[Code::InvalidArgument, Code::NotFound];

async fn engine() -> Engine {
    let config = Config::sample(&Environment::default()).expect("the sample");
    let limits = Limits { memory_bytes: 256 << 20, query_seconds: 5, ..config.limits };
    Engine::open(Config { limits, ..config }).await.expect("it opens")
}

/// Returns the code with which a statement ends, and what it says.
async fn ended(client: &mut FlightSqlServiceClient<Channel>, sql: &str) -> Option<(Code, String)> {
    let done = async {
        let info = client.execute(sql.to_owned(), None).await?;
        let ticket = info.endpoint[0].ticket.clone().expect("a ticket");
        client.do_get(ticket).await?.try_for_each(|_| async { Ok(()) }).await?;
        Ok::<_, arrow_flight::error::FlightError>(())
    };
    match done.await {
        Ok(()) => None,
        Err(error) => {
            let status = tonic::Status::from(error);
            Some((status.code(), status.message().to_owned()))
        }
    }
}

async fn all_end(statements: &[(String, &[Code])]) {
    let engine = engine().await;
    let server = Server::over(engine.clone()).await;
    let mut client = server.client().await;
    for (sql, codes) in statements {
        let shown: String = sql.chars().take(90).collect();
        let (code, text) = ended(&mut client, sql).await.unwrap_or_else(|| panic!("{shown} is expected to fail"));
        assert!(codes.contains(&code), "{shown}: {code:?} {text}");
        assert!(!text.contains('/') || text.contains("\"metrics."), "{shown}: a path in {text}");
    }
    assert_eq!(ended(&mut client, "select count(*) from crm.accounts").await, None, "the server answers afterwards");
    let is_back = async {
        while engine.memory_in_use() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), is_back).await.expect("memory is back");
    server.stop().await;
}

fn chain(first: &str, step: impl Fn(usize) -> String, steps: usize, last: &str) -> String {
    format!("with s0 as ({first}){} {last} from s{}", (1..steps).map(step).collect::<String>(), steps - 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_any_size_are_refused() {
    let many = |text: &str, count: usize| text.repeat(count);
    let nested =
        |open: &str, inner: &str, close: &str, count| format!("{}{inner}{}", many(open, count), many(close, count));
    let doubled = |step: usize| format!(", s{step} as (select l.* from s{0} as l, s{0} as r)", step - 1);
    let accounts = "select * from crm.accounts where";
    all_end(&[
        (format!("select {}", nested("(", "1", ")", 10_000)), LIMIT),
        (format!("select {}", nested("array[", "1", "]", 10_000)), LIMIT),
        (format!("select {}", nested("case when true then ", "1", " end", 5_000)), LIMIT),
        (nested("select * from (", "select 1", ") as t", 5_000), LIMIT),
        (format!("select {}", nested("(select ", "1", ")", 25)), LIMIT),
        (format!("select {}true", many("not ", 20_000)), LIMIT),
        (format!("{}select 1", many("select 1 union ", 5_000)), LIMIT),
        (format!("{}select 1", many("select 1 union all ", 5_000)), LIMIT),
        (format!("select 1{}", many("+1", 100_000)), LIMIT),
        (format!("select 1{}", many("::int", 100_000)), LIMIT),
        (format!("{accounts} {}false", many("name = 'a' or ", 50_000)), LIMIT),
        (format!("{accounts} name in ({}'a')", many("'a', ", 100_000)), LIMIT),
        (format!("select 1 from {}crm.accounts", many("crm.accounts, ", 5_000)), LIMIT),
        (chain("select 1 as x", doubled, 40, "select count(*)"), LIMIT),
        (many("x", 2 << 20), LIMIT),
        (format!("{}select 1", many("explain ", 100_000)), LIMIT),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_that_make_much_of_little_are_bounded() {
    let twice = |step: usize| format!(", s{step} as (select x || x as x from s{})", step - 1);
    let called = |step: usize| format!(", s{step} as (select concat(x, x, x) as x from s{})", step - 1);
    let lists = |step: usize| format!(", s{step} as (select array_concat(x, x) as x from s{})", step - 1);
    let text = "select repeat('x', 1000000) as x from crm.accounts limit 1";
    let list = "select range(1, 1000000) as x from crm.accounts limit 1";
    let of_accounts = |call: &str| format!("select {call} from crm.accounts");
    let statements = [
        "select repeat('x', 2000000000)",
        "select length(repeat(repeat('x', 100000), 100000))",
        "select lpad('x', 2000000000, 'y')",
        "select rpad('x', 2000000000, 'y')",
        "select length(replace(repeat('x', 1000000), 'x', repeat('y', 100000)))",
        "select length(regexp_replace(repeat('x', 1000000), 'x', repeat('y', 100000), 'g'))",
        "select array_repeat(1, 4000000000)",
        "select range(1, 4000000000)",
        "select generate_series(1, 4000000000)",
        "select array_resize([1], 4000000000, 1)",
        "select array_to_string(range(1, 100000), repeat('x', 100000))",
        "select regexp_like(name, '(\\w{50}){9}' || account_id) from crm.accounts",
        "select repeat('x', 100000) from campaign.touches",
        "select unnest(range(1, 1000000)) from crm.accounts",
        "select string_agg(repeat('x', 10000), '') from generate_series(1, 100000)",
        "select array_agg(repeat('x', 10000)) from generate_series(1, 100000)",
        "select length(array_to_string(array_repeat(null::varchar, 1000000), ',', repeat('x', 100000)))",
        "select array_length(array_repeat('', 400000000))",
        "select array_length(array_resize(['y'], 100000, repeat('x', 100000)))",
        "select position(repeat('y', 500000) in repeat('x', 1000000))",
    ];
    let mut all: Vec<(String, &[Code])> = statements.iter().map(|sql| ((*sql).to_owned(), LIMIT)).collect();
    all.extend([
        (of_accounts("length(repeat(name, 10000000))"), LIMIT),
        (chain(text, twice, 30, "select length(x)"), LIMIT),
        (chain(text, called, 30, "select length(x)"), LIMIT),
        (chain(list, lists, 30, "select array_length(x)"), LIMIT),
        (of_accounts("name ~ account_id"), REFUSED),
        (of_accounts("regexp_like(name, '(\\w{1000}){1000}')"), WRONG),
    ]);
    all_end(&all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn single_steps_that_would_take_all_memory_are_refused() {
    let nested = |open: &str, levels: usize| format!("'{}Int64{}'", open.repeat(levels), ")".repeat(levels));
    let over =
        |call: &str| format!("select count(x) from (select {call} as x from generate_series(1, 2000) as t(value))");
    let long = "case when value = 1 then repeat('x', 1000000) else '' end";
    let replaced = "array_replace_all(array_repeat('', 1000), '', repeat('x', 100000 + value))";
    let patterns = |condition: &str| format!("select count(*) from generate_series(1, 8000) where {condition}");
    let statements: [(String, &[Code]); 20] = [
        (format!("select arrow_try_cast(null, {})", nested("List(", 150_000)), LIMIT),
        (format!("select arrow_cast(null, {})", nested("Struct(\"a\": ", 40_000)), LIMIT),
        (format!("select arrow_cast(null, {})", nested("Dictionary(Int32, ", 20)), LIMIT),
        ("select arrow_cast(null, 'FixedSizeList(1000000000, Int64)')".to_owned(), LIMIT),
        ("select arrow_cast(null, 'FixedSizeBinary(1000000)') from generate_series(1, 8192)".to_owned(), LIMIT),
        ("select cast(null as int[1000000000])".to_owned(), LIMIT),
        (format!("select cast(null as int{})", "[]".repeat(100)), LIMIT),
        (over("array_agg(value) over ()"), REFUSED),
        (over("string_agg(value::varchar, ',') over (order by value)"), REFUSED),
        (over(&format!("first_value({long}) over (order by value)")), LIMIT),
        (over(&format!("max({long}) over ()")), LIMIT),
        ("select max(x) from (select sum(value) over () as x from generate_series(1, 20000000))".to_owned(), LIMIT),
        ("select approx_percentile_cont(value, 0.5, 1000000000) from generate_series(1, 9)".to_owned(), LIMIT),
        ("select approx_percentile_cont(value, 0.5, 1000000 * 1000) from generate_series(1, 9)".to_owned(), LIMIT),
        (over(replaced), LIMIT),
        (patterns("'abc' ilike repeat('_é%', 2000) || value"), LIMIT),
        (patterns("'abc' not like repeat('_a%', 300) || value || '%'"), LIMIT),
        (patterns("'abc' similar to repeat('(a|b){1,5}', 100) || value"), REFUSED),
        (format!("select {}a", "a:".repeat(500)), LIMIT),
        (over("array_resize(make_array(value), -1)"), WRONG),
    ];
    all_end(&statements).await;
    let engine = engine().await;
    let server = Server::over(engine).await;
    let mut client = server.client().await;
    let none_of_them =
        "select value, max(value) as most from generate_series(1, 9) group by value order by most limit 1000000000";
    assert_eq!(ended(&mut client, none_of_them).await, None, "nine rows are nine");
}

#[tokio::test(flavor = "multi_thread")]
async fn wide_rows_are_not_copied_over_and_over() {
    let one = |value: &str| format!("(select {value} as x from generate_series(1, 1) as one(number) where number > 0)");
    let joined = |value: &str, rows: usize| {
        format!("(select x, value from {} cross join generate_series(1, {rows}) as t(value))", one(value))
    };
    let long = "arrow_cast(repeat('x', 1000000), 'LargeUtf8')";
    let taken = |call: &str, value: &str| format!("select max({call} + value) from {}", joined(value, 8192));
    let of_each = format!("select {long} as x, unnest(range(1, 1500)) as value from generate_series(1, 50)");
    all_end(&[
        (taken("length(x)", long), LIMIT),
        (taken("array_length(x)", "range(1, 100000)"), LIMIT),
        (taken("array_length(x)", "[[repeat('x', 1000000)]]"), LIMIT),
        (format!("select max(length(x) + value) from ({of_each})"), LIMIT),
    ])
    .await;
    // With the usual memory: other tests of the process have theirs.
    let server = Server::over(crate::support::sample().await).await;
    let mut client = server.client().await;
    let shared = "arrow_cast(repeat('x', 1000000), 'Utf8View')";
    let written_out = format!("select count(arrow_cast(x, 'Utf8')) from {}", joined(shared, 3000));
    assert_eq!(ended(&mut client, &written_out).await, None, "a part of them at a time");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn planning_has_an_end() {
    let config = Config::sample(&Environment::default()).expect("the sample");
    let limits = Limits { query_seconds: 0, ..config.limits };
    let engine = Engine::open(Config { limits, ..config }).await.expect("it opens");
    let server = Server::over(engine).await;
    let (code, text) = ended(&mut server.client().await, "select 1").await.expect("it has no time at all");
    assert!(LIMIT.contains(&code), "{code:?} {text}");
    assert!(text.starts_with("the query could not be planned within 0 seconds"), "{text}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn constants_are_no_way_around() {
    let many = |call: &dyn Fn(usize) -> String, count: usize| (0..count).map(call).collect::<Vec<_>>().join(", ");
    let seconds = "timestamp '1970-01-01', timestamp '1980-01-01', interval '1 second'";
    let statements = [
        "levenshtein(repeat('x', 100000), repeat('y', 100000))".to_owned(),
        "strpos(repeat('x', 1000000), repeat('y', 500000))".to_owned(),
        "ltrim(repeat('x', 100000), repeat('y', 100000))".to_owned(),
        "array_has_any(range(1, 100000), range(100000, 200000))".to_owned(),
        "array_has_all(range(1, 100000), range(1, 100000))".to_owned(),
        "array_length(array_except(range(1, 10000000), range(5, 10000000)))".to_owned(),
        format!("array_length(generate_series({seconds}))"),
        "array_length(range(date '0001-01-01', date '9999-12-31', interval '1 day')) from crm.accounts".to_owned(),
        format!("make_array({})", many(&|_| "range(1, 10000000)".to_owned(), 8)),
        many(&|number| format!("repeat('{number}', 9000000)"), 200),
    ];
    all_end(&statements.map(|call| (format!("select {call}"), LIMIT))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_road_leads_to_the_files_and_options_of_the_host() {
    let statements: [(&str, &[Code]); 26] = [
        ("select * from '/etc/passwd'", WRONG),
        ("select * from \"/etc/passwd\"", WRONG),
        ("select * from \"file:///etc/passwd\"", WRONG),
        ("select * from read_csv('/etc/passwd')", WRONG),
        ("select * from read_parquet('/etc/passwd')", WRONG),
        ("select * from parquet_metadata('/etc/passwd')", WRONG),
        ("select * from glob('/etc/*')", WRONG),
        ("select pg_read_file('/etc/passwd')", WRONG),
        ("copy (select 1) to 'x.csv'", REFUSED),
        ("copy crm.accounts from '/etc/passwd'", WRONG),
        ("explain copy (select 1) to 'x.csv'", REFUSED),
        ("create external table x stored as csv location '/etc/passwd'", REFUSED),
        ("create unbounded external table x stored as csv location '/etc/passwd'", REFUSED),
        ("insert into '/tmp/x.csv' select 1", REFUSED),
        ("create function f(int) returns int return $1", REFUSED),
        ("create database x", REFUSED),
        ("create schema x", REFUSED),
        ("attach database 'x' as y", REFUSED),
        ("load data inpath '/etc/passwd' into table x", WRONG),
        ("set datafusion.runtime.memory_limit = '1T'", REFUSED),
        ("set datafusion.execution.batch_size = 1", REFUSED),
        ("set time zone 'UTC'", REFUSED),
        ("reset datafusion.runtime.memory_limit", REFUSED),
        ("prepare x as select 1", REFUSED),
        ("execute x", REFUSED),
        ("explain analyze insert into sandbox.x select 1", REFUSED),
    ];
    all_end(&statements.map(|(sql, codes)| (sql.to_owned(), codes))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_without_an_end_reach_a_limit() {
    let statements = [
        "select count(*) from generate_series(1, 1000000000000)",
        "with recursive r(n) as (select 1 union all select n + 1 from r) select count(*) from r",
        "select count(*) from campaign.touches as a, campaign.touches as b, campaign.touches as c
         where a.touch_id <> b.touch_id and b.touch_id <> c.touch_id",
        "select a.touch_id from campaign.touches as a cross join campaign.touches as b cross join campaign.touches as c
         order by b.touch_id || c.touch_id, a.touch_id",
    ];
    all_end(&statements.map(|sql| (sql.to_owned(), LIMIT))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_any_kind_are_an_error_of_the_caller() {
    let server = Server::over(engine().await).await;
    let mut client = server.client().await;
    let mut seed = 7_u64;
    for length in 0..200 {
        let bytes: Vec<u8> = (0..length)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (seed >> 56) as u8
            })
            .collect();
        let found = client.do_get(Ticket::new(bytes)).await.err().map(|error| tonic::Status::from(error).code());
        assert!(matches!(found, Some(Code::InvalidArgument | Code::Unimplemented)), "{length}: {found:?}");
    }
    assert_eq!(ended(&mut client, "select 1").await, None);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_and_slow_connections_keep_nobody_waiting() {
    let server = Server::over(engine().await).await;
    let address = server.url().trim_start_matches("http://").to_owned();
    let mut idle = Vec::new();
    for number in 0..300 {
        let mut connection = TcpStream::connect(&address).await.expect("it listens");
        if number % 2 == 0 {
            // The first letters of a connection that never says more.
            connection.write_all(b"PRI * HT").await.expect("it is read");
        }
        idle.push(connection);
    }
    let mut client = server.client().await;
    let answer = tokio::time::timeout(Duration::from_secs(30), ended(&mut client, "select 1")).await;
    assert_eq!(answer.expect("it is answered"), None);
    drop(idle);
    server.stop().await;
}
