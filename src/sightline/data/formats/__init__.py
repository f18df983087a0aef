"""One file a layout: folders, tables, Parquet, IDX;  decides which one a path holds."""
