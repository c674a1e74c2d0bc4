use std::collections::BTreeSet;

use datafusion::execution::SessionStateBuilder;

use super::*;

/// The engine's functions that return no more than a little for each row, or no more than they were given.
#[rustfmt::skip]
const HARMLESS: &[&str] = &[
    "abs", "acos", "acosh", "array_add", "array_any_value", "array_avg", "array_compact", "array_dims",
    "array_distance", "array_element", "array_has", "array_length", "array_max", "array_min", "array_ndims",
    "array_normalize", "array_pop_back", "array_pop_front", "array_position", "array_positions", "array_product",
    "array_remove", "array_remove_all", "array_remove_n", "array_reverse", "array_scale", "array_slice",
    "array_sort", "array_subtract", "array_sum", "arrays_zip", "arrow_field", "arrow_metadata", "arrow_typeof",
    "ascii", "asin", "asinh", "atan", "atan2", "atanh", "bit_length", "cardinality", "cast_to_type", "cbrt", "ceil",
    "character_length", "chr", "coalesce", "contains", "cos", "cosh", "cosine_distance", "cot", "current_date",
    "current_time", "date_bin", "date_part", "date_trunc", "decode", "degrees", "digest", "empty", "ends_with",
    "exp", "factorial", "file_row_index", "find_in_set", "flatten", "floor", "from_unixtime", "gcd", "get_field",
    "greatest", "inner_product", "input_file_name", "isnan", "iszero", "lcm", "least", "left", "ln", "log", "log10",
    "log2", "make_date", "make_time", "map", "map_entries", "map_extract", "map_keys", "map_values", "md5",
    "named_struct", "nanvl", "now", "nullif", "nvl", "nvl2", "octet_length", "pi", "power", "radians", "random",
    "reverse", "right", "round", "sha224", "sha256", "sha384", "sha512", "signum", "sin", "sinh", "split_part",
    "sqrt", "starts_with", "struct", "substr", "tan", "tanh", "to_date", "to_local_time", "to_time", "to_timestamp",
    "to_timestamp_micros", "to_timestamp_millis", "to_timestamp_nanos", "to_timestamp_seconds", "to_unixtime",
    "trunc", "try_cast_to_type", "union_extract", "union_tag", "uuid", "version", "with_metadata",
];

#[test]
fn every_function_of_the_engine_is_bounded_or_harmless() {
    let state = SessionStateBuilder::new().with_default_features().build();
    let all: BTreeSet<&str> = state.scalar_functions().values().map(|function| function.name()).collect();
    let bounded: BTreeSet<&str> =
        state.scalar_functions().values().filter(|own| bounded(own, 0).is_some()).map(|own| own.name()).collect();
    let harmless: BTreeSet<&str> = HARMLESS.iter().copied().collect();
    assert_eq!(bounded.len(), FUNCTIONS.len() + CASTS.len(), "each name stands for a function");
    let of_neither: Vec<_> = all.iter().filter(|name| !bounded.contains(*name) && !harmless.contains(*name)).collect();
    assert!(of_neither.is_empty(), "how does what they return grow? {of_neither:?}");
    let unknown: Vec<_> = harmless.iter().filter(|name| !all.contains(*name)).collect();
    assert!(unknown.is_empty(), "there is no function of the name: {unknown:?}");
}
