"""Keys of older configuration files, and what takes their place."""

RETIRED_KEYS = {
    "test_regions": "the test part is cut while training: data-split-method = 'region', data-split-by = [names]",
    "test_val_split": "the test part is cut while training: data-split-method = 'random', data-split-by = [fraction]",
    "dask_worker": "preprocessing is bounded in memory and needs no such number",
    "ee_project": "preprocessing reads trends from a file: tcvis-dir",
    "ee_use_highvolume": "preprocessing reads trends from a file: tcvis-dir",
    "sentinel2_dir": "give rasters and labels with preprocess-raster-train-data",
    "append": "calling a preprocessing command again adds what is missing; overwrite = true starts anew",
}
