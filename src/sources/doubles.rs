//! Files without the statistics of their doubles, which do not tell of NaN.
//!
//! Writers leave NaN out of the least and the greatest value of a column. A scan would take a column in which these are the
//! same for one that has a single value, and leave out rows by them that a filter asks for.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::Schema;
use bytes::Bytes;
use datafusion::common::Result;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{CachedParquetFileReaderFactory, ParquetFileReaderFactory};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::basic::{LogicalType, Type};
use parquet::errors;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::properties::{EnabledStatistics, WriterPropertiesBuilder};
use parquet::schema::types::{ColumnDescriptor, ColumnPath};

/// Returns properties under which files have no statistics of the doubles of a schema: other programs look for NaN by them.
pub fn without_statistics(properties: WriterPropertiesBuilder, schema: &Schema) -> WriterPropertiesBuilder {
    let doubles = schema.fields().iter().filter(|field| field.data_type().is_floating());
    doubles.fold(properties, |properties, field| {
        let path = ColumnPath::new(vec![field.name().clone()]);
        properties.set_column_statistics_enabled(path, EnabledStatistics::None)
    })
}

/// Makes readers of files that do not see statistics of doubles.
#[derive(Debug)]
pub(super) struct Readers(pub(super) CachedParquetFileReaderFactory);

impl ParquetFileReaderFactory for Readers {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let reader = self.0.create_reader(partition_index, file, metadata_size_hint, metrics)?;
        Ok(Box::new(Reader(reader)))
    }
}

struct Reader(Box<dyn AsyncFileReader + Send>);

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, errors::Result<Bytes>> {
        self.0.get_bytes(range)
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, errors::Result<Vec<Bytes>>> {
        self.0.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, errors::Result<Arc<ParquetMetaData>>> {
        async move { without_doubles(self.0.get_metadata(options).await?) }.boxed()
    }
}

/// Returns a footer without the statistics of doubles, those of pages included.
///
/// # Errors
/// Where the footer does not have as many columns as its schema.
pub(super) fn without_doubles(metadata: Arc<ParquetMetaData>) -> errors::Result<Arc<ParquetMetaData>> {
    let columns = metadata.file_metadata().schema_descr().columns();
    let are_doubles: Vec<bool> = columns.iter().map(|column| is_double(column)).collect();
    let tells = |group: &RowGroupMetaData| {
        let doubles = group.columns().iter().zip(&are_doubles).filter(|(_, is_double)| **is_double);
        doubles
            .map(|(column, _)| column)
            .any(|column| column.statistics().is_some() || column.column_index_offset().is_some())
    };
    if !metadata.row_groups().iter().any(tells) {
        return Ok(metadata);
    }
    let mut builder = metadata.as_ref().clone().into_builder();
    let groups = builder.take_row_groups().into_iter().map(|group| of_group(group, &are_doubles));
    let groups = groups.collect::<errors::Result<Vec<_>>>()?;
    let of_pages = |group: Vec<ColumnIndexMetaData>| -> Vec<ColumnIndexMetaData> {
        let columns = group.into_iter().zip(&are_doubles);
        columns.map(|(pages, is_double)| if *is_double { ColumnIndexMetaData::NONE } else { pages }).collect()
    };
    let pages = builder.take_column_index().map(|groups| groups.into_iter().map(of_pages).collect());
    Ok(Arc::new(builder.set_row_groups(groups).set_column_index(pages).build()))
}

fn of_group(group: RowGroupMetaData, are_doubles: &[bool]) -> errors::Result<RowGroupMetaData> {
    let mut builder = group.into_builder();
    let columns = builder.take_columns().into_iter().zip(are_doubles).map(|(column, is_double)| match is_double {
        false => Ok(column),
        true => {
            let without = column.into_builder().clear_statistics();
            without.set_column_index_offset(NOWHERE).set_column_index_length(NOWHERE_LONG).build()
        }
    });
    let columns = columns.collect::<errors::Result<Vec<_>>>()?;
    builder.set_column_metadata(columns).build()
}

/// The pages of a double have no statistics.
const NOWHERE: Option<i64> = None;

/// As [`NOWHERE`].
const NOWHERE_LONG: Option<i32> = None;

fn is_double(column: &ColumnDescriptor) -> bool {
    let is_half = || matches!(column.logical_type_ref(), Some(LogicalType::Float16));
    matches!(column.physical_type(), Type::FLOAT | Type::DOUBLE) || is_half()
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Float64Array, Int64Array};
    use arrow::record_batch::RecordBatch;
    use parquet::arrow::ArrowWriter;
    use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
    use parquet::file::properties::WriterProperties;

    use super::*;

    fn rows() -> RecordBatch {
        let columns: [(&str, ArrayRef); 2] = [
            ("ratio", Arc::new(Float64Array::from(vec![0.3, f64::NAN]))),
            ("count", Arc::new(Int64Array::from(vec![1, 2]))),
        ];
        RecordBatch::try_from_iter(columns).expect("two columns")
    }

    fn footer(policy: PageIndexPolicy, properties: WriterProperties) -> Arc<ParquetMetaData> {
        let (rows, mut bytes) = (rows(), Vec::new());
        let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), Some(properties)).expect("a writer");
        writer.write(&rows).expect("it writes");
        writer.close().expect("it ends");
        let mut reader = ParquetMetaDataReader::new().with_page_index_policy(policy);
        reader.try_parse(&Bytes::from(bytes)).expect("a footer");
        Arc::new(reader.finish().expect("a footer"))
    }

    #[test]
    fn doubles_have_no_statistics_and_others_keep_theirs() {
        for policy in [PageIndexPolicy::Skip, PageIndexPolicy::Required] {
            let before = footer(policy, WriterProperties::default());
            assert!(before.row_group(0).column(0).statistics().is_some(), "of 0.3 alone");
            let without = without_doubles(Arc::clone(&before)).expect("a footer");
            let columns = without.row_group(0).columns();
            assert!(columns[0].statistics().is_none() && columns[0].column_index_offset().is_none());
            assert_eq!(&columns[1], before.row_group(0).column(1));
            let pages = without.column_index().map(|groups| &groups[0]);
            assert_eq!(pages.is_some(), policy == PageIndexPolicy::Required);
            assert!(pages.is_none_or(|pages| matches!(pages[0], ColumnIndexMetaData::NONE)));
            assert!(pages.is_none_or(|pages| !matches!(pages[1], ColumnIndexMetaData::NONE)));
            assert!(
                Arc::ptr_eq(&without, &without_doubles(Arc::clone(&without)).expect("a footer")),
                "nothing is left"
            );
        }
    }
    #[test]
    fn files_for_others_have_no_statistics_of_doubles() {
        let properties = without_statistics(WriterProperties::builder(), &rows().schema()).build();
        let footer = footer(PageIndexPolicy::Skip, properties);
        let columns = footer.row_group(0).columns();
        assert!(columns[0].statistics().is_none() && columns[1].statistics().is_some());
    }
}
