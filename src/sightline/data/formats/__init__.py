"""One file a layout: folders, tables, Parquet, IDX; and the recognition of the layout that a path holds."""
