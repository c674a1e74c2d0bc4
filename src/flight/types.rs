//! SQL types as clients name them, and the table of them that ODBC drivers ask for.

use std::sync::LazyLock;

use arrow::datatypes::{DataType, TimeUnit};
use arrow_flight::sql::metadata::{XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{Nullable, Searchable, XdbcDataType, XdbcDatetimeSubcode};

/// Name, digits and decimal places of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SqlType {
    /// The name.
    pub name: &'static str,
    /// Digits of a number, letters of a date or an instant; `None` where there is no bound.
    pub precision: Option<u16>,
    /// Decimal places.
    pub scale: Option<i16>,
}

const fn sized(name: &'static str, precision: u16, scale: i16) -> SqlType {
    SqlType { name, precision: Some(precision), scale: Some(scale) }
}

const fn unsized_type(name: &'static str) -> SqlType {
    SqlType { name, precision: None, scale: None }
}

/// Returns the SQL type of a column.
pub(super) fn sql_type(kind: &DataType) -> SqlType {
    match kind {
        DataType::Boolean => sized("BOOLEAN", 1, 0),
        DataType::Int8 => sized("TINYINT", 3, 0),
        DataType::Int16 => sized("SMALLINT", 5, 0),
        DataType::Int32 => sized("INTEGER", 10, 0),
        DataType::Int64 => sized("BIGINT", 19, 0),
        DataType::UInt8 => sized("TINYINT UNSIGNED", 3, 0),
        DataType::UInt16 => sized("SMALLINT UNSIGNED", 5, 0),
        DataType::UInt32 => sized("INTEGER UNSIGNED", 10, 0),
        DataType::UInt64 => sized("BIGINT UNSIGNED", 20, 0),
        DataType::Float16 | DataType::Float32 => SqlType { scale: None, ..sized("REAL", 7, 0) },
        DataType::Float64 => SqlType { scale: None, ..sized("DOUBLE", 15, 0) },
        DataType::Decimal32(digits, places)
        | DataType::Decimal64(digits, places)
        | DataType::Decimal128(digits, places)
        | DataType::Decimal256(digits, places) => sized("DECIMAL", u16::from(*digits), i16::from(*places)),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => unsized_type("VARCHAR"),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            unsized_type("VARBINARY")
        }
        DataType::Date32 | DataType::Date64 => sized("DATE", 10, 0),
        DataType::Time32(unit) | DataType::Time64(unit) => sized("TIME", 9 + places(*unit), signed(places(*unit))),
        DataType::Timestamp(unit, None) => sized("TIMESTAMP", 20 + places(*unit), signed(places(*unit))),
        DataType::Timestamp(unit, Some(_)) => {
            sized("TIMESTAMP WITH TIME ZONE", 26 + places(*unit), signed(places(*unit)))
        }
        DataType::Interval(_) | DataType::Duration(_) => unsized_type("INTERVAL"),
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(..)
        | DataType::ListView(_)
        | DataType::LargeListView(_) => unsized_type("ARRAY"),
        DataType::Struct(_) => unsized_type("STRUCT"),
        DataType::Map(..) => unsized_type("MAP"),
        DataType::Dictionary(_, values) => sql_type(values),
        DataType::RunEndEncoded(_, values) => sql_type(values.data_type()),
        DataType::Null | DataType::Union(..) => unsized_type("OTHER"),
    }
}

/// Returns the decimal places of a second.
fn places(unit: TimeUnit) -> u16 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

fn signed(places: u16) -> i16 {
    i16::try_from(places).unwrap_or(i16::MAX)
}

/// The types that a column can have, as ODBC describes them.
pub(super) static TYPE_INFO: LazyLock<XdbcTypeInfoData> = LazyLock::new(|| {
    let mut builder = XdbcTypeInfoDataBuilder::new();
    for info in numbers().into_iter().chain(texts()).chain(times()) {
        builder.append(info);
    }
    builder.build().expect("every row has a value in each required column")
});

fn of_type(data_type: XdbcDataType, name: &str) -> XdbcTypeInfo {
    XdbcTypeInfo {
        type_name: name.to_owned(),
        data_type,
        local_type_name: Some(name.to_owned()),
        nullable: Nullable::NullabilityNullable,
        searchable: Searchable::Full,
        sql_data_type: data_type,
        auto_increment: Some(NEVER),
        ..XdbcTypeInfo::default()
    }
}

/// No column counts by itself.
const NEVER: bool = false;

fn numbers() -> Vec<XdbcTypeInfo> {
    let whole = |data_type, name, digits| XdbcTypeInfo {
        column_size: Some(digits),
        unsigned_attribute: Some(NEVER),
        minimum_scale: Some(0),
        maximum_scale: Some(0),
        num_prec_radix: Some(10),
        ..of_type(data_type, name)
    };
    let floating = |data_type, name, digits| XdbcTypeInfo {
        column_size: Some(digits),
        unsigned_attribute: Some(NEVER),
        num_prec_radix: Some(10),
        ..of_type(data_type, name)
    };
    vec![
        XdbcTypeInfo { column_size: Some(1), ..of_type(XdbcDataType::XdbcBit, "BOOLEAN") },
        whole(XdbcDataType::XdbcTinyint, "TINYINT", 3),
        whole(XdbcDataType::XdbcSmallint, "SMALLINT", 5),
        whole(XdbcDataType::XdbcInteger, "INTEGER", 10),
        whole(XdbcDataType::XdbcBigint, "BIGINT", 19),
        floating(XdbcDataType::XdbcReal, "REAL", 7),
        floating(XdbcDataType::XdbcDouble, "DOUBLE", 15),
        XdbcTypeInfo {
            create_params: Some(vec!["precision".to_owned(), "scale".to_owned()]),
            fixed_prec_scale: true,
            maximum_scale: Some(38),
            ..whole(XdbcDataType::XdbcDecimal, "DECIMAL", 38)
        },
    ]
}

fn texts() -> Vec<XdbcTypeInfo> {
    let quoted = |prefix: &str, info: XdbcTypeInfo| XdbcTypeInfo {
        literal_prefix: Some(prefix.to_owned()),
        literal_suffix: Some("'".to_owned()),
        ..info
    };
    vec![
        quoted(
            "'",
            XdbcTypeInfo {
                column_size: Some(i32::MAX),
                case_sensitive: true,
                ..of_type(XdbcDataType::XdbcVarchar, "VARCHAR")
            },
        ),
        quoted("X'", XdbcTypeInfo { column_size: Some(i32::MAX), ..of_type(XdbcDataType::XdbcVarbinary, "VARBINARY") }),
    ]
}

// The subcode of a date has the number of the year's.
fn times() -> Vec<XdbcTypeInfo> {
    let time = |data_type, name: &str, letters, places, subcode| XdbcTypeInfo {
        column_size: Some(letters),
        literal_prefix: Some(format!("{} '", name.split(' ').next().unwrap_or(name))),
        literal_suffix: Some("'".to_owned()),
        minimum_scale: Some(0),
        maximum_scale: Some(places),
        sql_data_type: XdbcDataType::XdbcDatetime,
        datetime_subcode: Some(subcode),
        ..of_type(data_type, name)
    };
    vec![
        time(XdbcDataType::XdbcDate, "DATE", 10, 0, XdbcDatetimeSubcode::XdbcSubcodeYear),
        time(XdbcDataType::XdbcTime, "TIME", 18, 9, XdbcDatetimeSubcode::XdbcSubcodeTime),
        time(XdbcDataType::XdbcTimestamp, "TIMESTAMP", 29, 9, XdbcDatetimeSubcode::XdbcSubcodeTimestamp),
        time(
            XdbcDataType::XdbcTimestamp,
            "TIMESTAMP WITH TIME ZONE",
            35,
            9,
            XdbcDatetimeSubcode::XdbcSubcodeTimestampWithTimezone,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;

    use super::*;

    #[test]
    fn every_type_of_the_contract_is_in_the_table_of_types() {
        let rows = TYPE_INFO.record_batch(None).expect("no filter");
        let names: Vec<_> = rows.column(0).as_string::<i32>().iter().flatten().collect();
        for table in crate::catalog::contract::Contract::get().tables() {
            for column in &table.columns {
                assert!(names.contains(&sql_type(&column.data_type).name), "{}", column.name);
            }
        }
    }

    #[test]
    fn decimals_have_their_digits() {
        assert_eq!(sql_type(&DataType::Decimal128(18, 2)), sized("DECIMAL", 18, 2));
    }
}
