set datafusion.execution.batch_size = 0
