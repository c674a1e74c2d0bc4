//! A scan of Parquet files in one schema.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::stats::Precision;
use datafusion::common::{DataFusionError, Result, ScalarValue, Statistics};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;

use super::Source;
use super::doubles::Readers;
use super::footer::Footer;

/// Files of one table, to be read as rows of `schema`.
#[derive(Debug)]
pub struct Files<'a> {
    /// Where they lie.
    pub source: &'a Source,
    /// The files with their footers.
    pub footers: &'a [Footer],
    /// The columns: what a file does not have is NULL, what it has in another type is cast.
    pub schema: &'a SchemaRef,
}

impl Files<'_> {
    /// Returns the plan that reads the projected columns of all files.
    ///
    /// Filters are pushed into the scan by the optimizer.
    ///
    /// # Errors
    /// `Plan` where a partition value does not convert to its column's type.
    pub fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let projection = projection.unwrap_or(&all);
        // One scan takes the same columns from every path, so files whose paths give others have a scan of their own.
        let mut alike: BTreeMap<Vec<&str>, Vec<&Footer>> = BTreeMap::new();
        for footer in self.footers {
            alike.entry(self.columns_of_path(footer)).or_default().push(footer);
        }
        let mut scans = alike
            .into_iter()
            .map(|(columns, footers)| self.scan_alike(state, projection, limit, &columns, &footers))
            .collect::<Result<Vec<_>>>()?;
        match (scans.pop(), scans.is_empty()) {
            (None, _) => Ok(Arc::new(EmptyExec::new(Arc::new(self.schema.project(projection)?)))),
            (Some(scan), true) => Ok(scan),
            (Some(scan), false) => {
                scans.push(scan);
                UnionExec::try_new(scans)
            }
        }
    }

    /// Returns the columns that a file has from its path alone.
    fn columns_of_path<'f>(&self, footer: &'f Footer) -> Vec<&'f str> {
        let keys = footer.file.partitions.iter().map(|(key, _)| key.as_str());
        keys.filter(|key| footer.schema.field_with_name(key).is_err() && self.schema.field_with_name(key).is_ok())
            .collect()
    }

    fn scan_alike(
        &self,
        state: &dyn Session,
        projection: &[usize],
        limit: Option<usize>,
        of_path: &[&str],
        footers: &[&Footer],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (partition_fields, in_files): (Vec<FieldRef>, Vec<FieldRef>) =
            self.schema.fields().iter().cloned().partition(|field| of_path.contains(&field.name().as_str()));
        let file_schema = Arc::new(Schema::new(in_files));
        let table_schema =
            TableSchema::builder(Arc::clone(&file_schema)).with_table_partition_cols(partition_fields.clone()).build();
        // Partition columns come last in the scan's schema; the projection is counted in that one.
        let scanned = table_schema.table_schema();
        let places = projection
            .iter()
            .map(|place| scanned.index_of(self.schema.field(*place).name()))
            .collect::<std::result::Result<Vec<_>, _>>()?;
        let files = footers
            .iter()
            .map(|footer| partitioned_file(footer, &file_schema, &partition_fields))
            .collect::<Result<Vec<_>>>()?;
        let rows = footers.iter().map(|footer| footer.rows()).sum::<u64>();
        let statistics = Statistics::new_unknown(scanned)
            .with_num_rows(Precision::Exact(usize::try_from(rows).unwrap_or(usize::MAX)));
        let options =
            TableParquetOptions { global: state.config_options().execution.parquet.clone(), ..Default::default() };
        let store = state.runtime_env().object_store(&self.source.url)?;
        let cache = state.runtime_env().cache_manager.get_file_metadata_cache();
        let parquet = ParquetSource::new(table_schema)
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(Readers(CachedParquetFileReaderFactory::new(store, cache))));
        let config = FileScanConfigBuilder::new(self.source.url.clone(), Arc::new(parquet))
            .with_file_groups(groups(files, state.config().target_partitions()))
            .with_statistics(statistics)
            .with_projection_indices(Some(places))?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

fn partitioned_file(footer: &Footer, file_schema: &SchemaRef, partitions: &[FieldRef]) -> Result<PartitionedFile> {
    let values = partitions
        .iter()
        .map(|field| match footer.file.partition_value(field.name(), field.data_type()) {
            Some(value) => value.map_err(DataFusionError::Plan),
            None => ScalarValue::try_from(field.data_type()),
        })
        .collect::<Result<Vec<_>>>()?;
    let mut file = PartitionedFile::new_from_meta(footer.file.meta.clone());
    file.partition_values = values;
    // Statistics of a file that is cast are in other types than the table's.
    if has_same_types(&footer.schema, file_schema) {
        let statistics = DFParquetMetadata::statistics_from_parquet_metadata(&footer.metadata, file_schema)?;
        file = file.with_statistics(Arc::new(statistics));
    }
    Ok(file)
}

fn has_same_types(file: &Schema, table: &Schema) -> bool {
    table.fields().iter().all(|field| {
        file.field_with_name(field.name()).is_ok_and(|found| {
            found.data_type() == field.data_type() || is_text(found.data_type()) && is_text(field.data_type())
        })
    })
}

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Spreads files over at most `count` groups of about the same number of bytes, keeping their order within a group.
fn groups(files: Vec<PartitionedFile>, count: usize) -> Vec<FileGroup> {
    let total: u64 = files.iter().map(|file| file.object_meta.size).sum();
    let share = total.div_ceil(count.max(1) as u64).max(1);
    let mut groups: Vec<Vec<PartitionedFile>> = Vec::new();
    let mut before = 0;
    for file in files {
        let place = usize::try_from(before / share).unwrap_or(0);
        before += file.object_meta.size;
        if groups.is_empty() || place >= groups.len() && groups.len() < count {
            groups.push(Vec::new());
        }
        if let Some(group) = groups.last_mut() {
            group.push(file);
        }
    }
    groups.into_iter().map(FileGroup::new).collect()
}

/// A column that has one type in a file and another in the files before it.
#[derive(Debug)]
pub struct TypeConflict {
    /// The file.
    pub label: String,
    /// The column.
    pub column: String,
    /// Its type in the file.
    pub here: DataType,
    /// Its type in the files before it.
    pub elsewhere: DataType,
}

/// Returns the one schema of files that have no contract: the columns of all, in the order in which they first occur.
///
/// Texts become text views.
///
/// # Errors
/// Every column of a file whose type and that of the files before it have no common one.
pub fn merged_schema(footers: &[Footer]) -> std::result::Result<SchemaRef, Vec<TypeConflict>> {
    let mut fields: Vec<Field> = Vec::new();
    let mut conflicts = Vec::new();
    for footer in footers {
        for field in footer.schema.fields() {
            let kind = if is_text(field.data_type()) { DataType::Utf8View } else { field.data_type().clone() };
            match fields.iter_mut().find(|known| known.name() == field.name()) {
                None => fields.push(Field::new(field.name(), kind, true)),
                Some(known) if *known.data_type() == kind => {}
                Some(known) => match wider(known.data_type(), &kind) {
                    Some(wider) => *known = Field::new(field.name(), wider, true),
                    None => conflicts.push(TypeConflict {
                        label: footer.file.label.clone(),
                        column: field.name().clone(),
                        here: kind,
                        elsewhere: known.data_type().clone(),
                    }),
                },
            }
        }
    }
    for (key, _) in footers.iter().flat_map(|footer| &footer.file.partitions) {
        if !fields.iter().any(|field| field.name() == key) {
            fields.push(Field::new(key, DataType::Utf8View, true));
        }
    }
    if conflicts.is_empty() { Ok(Arc::new(Schema::new(fields))) } else { Err(conflicts) }
}

/// Returns whether values of a file's type can be read as a table's without loss.
pub fn widens(file: &DataType, table: &DataType) -> bool {
    file == table || is_text(file) && is_text(table) || wider(file, table).as_ref() == Some(table)
}

/// Returns the type that holds the values of both without loss.
fn wider(one: &DataType, other: &DataType) -> Option<DataType> {
    use DataType::{
        Decimal128, Dictionary, Float32, Float64, Int8, Int16, Int32, Int64, Null, Timestamp, UInt8, UInt16, UInt32,
    };
    let rank = |kind: &DataType| [Int8, Int16, Int32, Int64].iter().position(|other| other == kind);
    let unsigned = |kind: &DataType| [UInt8, UInt16, UInt32].iter().position(|other| other == kind);
    if let (Some(a), Some(b)) =
        (rank(one).or(unsigned(one).map(|rank| rank + 1)), rank(other).or(unsigned(other).map(|rank| rank + 1)))
    {
        return [Int8, Int16, Int32, Int64].into_iter().nth(a.max(b));
    }
    match (one, other) {
        (Null, kind) | (kind, Null) => Some(kind.clone()),
        (Float32, Float64) | (Float64, Float32) => Some(Float64),
        (Dictionary(_, value), kind) | (kind, Dictionary(_, value)) if is_text(value) && is_text(kind) => {
            Some(DataType::Utf8View)
        }
        (Decimal128(p1, s1), Decimal128(p2, s2)) => {
            let scale = *s1.max(s2);
            let digits = (i16::from(*p1) - i16::from(*s1)).max(i16::from(*p2) - i16::from(*s2)) + i16::from(scale);
            u8::try_from(digits).ok().filter(|digits| *digits <= 38).map(|digits| Decimal128(digits, scale))
        }
        (Timestamp(unit, zone), Timestamp(other_unit, other_zone)) if zone.is_some() == other_zone.is_some() => {
            Some(Timestamp(*unit.max(other_unit), zone.clone().or(other_zone.clone())))
        }
        _ => None,
    }
}
