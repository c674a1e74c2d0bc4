use super::*;
use crate::engine::gate;

fn fault(sql: &str) -> String {
    gate::parse(sql).expect_err("it is too large").message().to_owned()
}

#[test]
fn what_is_too_large_is_refused_before_it_is_parsed() {
    let many = |text: &str, count: usize| text.repeat(count);
    let deep = "an expression has more than the 2000 operators that are allowed";
    assert_eq!(fault(&format!("select 1{}", many("+1", 3000))), deep);
    assert_eq!(fault(&format!("select 1{}", many("::int", 3000))), deep);
    assert_eq!(fault(&format!("select x{}", many("[1]", 3000))), deep);
    assert_eq!(fault(&format!("select {}true", many("(1=1) or ", 3000))), deep);
    assert_eq!(fault(&format!("select 1{}", many(" is null", 3000))), deep);
    assert_eq!(fault(&format!("select 'x'{}", many(" || name", 300))), deep);
    let patterns = format!("select 1 from t where {}true", many("name ~ 'x' and ", 101));
    assert_eq!(fault(&patterns), "the SQL has 101 regular expressions, more than the 100 that are allowed");
    let name = "a name has 1001 bytes, more than the 1000 that are allowed";
    assert_eq!(fault(&format!("select {}(1)", many("x", 1001))), name);
    assert_eq!(fault(&format!("select \"{}\"", many("x", 1001))), name);
    let unions = many("select 1 union ", 301) + "select 1";
    assert_eq!(fault(&unions), "the SQL has 301 set operations, more than the 300 that are allowed");
    let parts = format!("select x in ({}1)", many("1,", 100_000));
    assert_eq!(fault(&parts), "the SQL has 200006 parts, more than the 120000 that are allowed");
    let text = many(" ", SQL_BYTES_MAX + 1);
    assert_eq!(fault(&text), "the SQL has 1048577 bytes, more than the 1048576 that are allowed");
}

#[test]
fn what_is_nested_is_refused_before_the_parser_goes_down() {
    let nested = |open: &str, close: &str, levels: usize| {
        // With a mistake inside, for which the parser goes back.
        format!("select {}1 x y{}", open.repeat(levels), close.repeat(levels))
    };
    assert_eq!(fault(&nested("(", ")", 60)), "brackets are nested deeper than the 50 levels that are allowed");
    let twice = "not, case, cast, array and the like are nested deeper than the 14 levels that are allowed";
    for (open, close) in [
        ("not ", ""),
        ("not (", ")"),
        ("array[", "]"),
        ("cast(", " as int)"),
        ("case when true then ", " end"),
        ("position(", " in 'x')"),
        ("array[not case when ", " then 1 end]"),
    ] {
        assert_eq!(fault(&nested(open, close, 30)), twice, "{open}");
        assert!(fault(&nested(open, close, 4)).starts_with("syntax error"), "{open}");
    }
    let queries = format!("select {}1{}", "(select ".repeat(20), ")".repeat(20));
    assert_eq!(fault(&queries), "queries are nested deeper than the 12 levels that are allowed");
}

#[test]
fn what_people_and_tools_write_is_not() {
    let list = "'a', ".repeat(30_000);
    let columns = "case when a = 1 and b = 2 then c + 1 else d end as e, ".repeat(2_000);
    let sql = format!("select {columns} 1 from t where x in ({list} 'b')");
    assert!(gate::parse(&sql).is_ok(), "columns and lists are not deep");
}

#[test]
fn a_query_that_is_read_twice_by_the_next_counts_twice() {
    let steps = |count: usize| {
        let with = (1..count).map(|step| format!(", s{step} as (select 1 from s{0}, s{0})", step - 1));
        format!("with s0 as (select 1){} select 1 from s{}", with.collect::<String>(), count - 1)
    };
    assert!(gate::parse(&steps(7)).is_ok());
    let fault = fault(&steps(30));
    assert!(fault.starts_with("the SQL has 1073741824 tables and queries"), "{fault}");
}
