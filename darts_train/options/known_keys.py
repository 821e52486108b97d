"""Keys of a train data directory's config.toml that are no option of any command.

The file may be given as `--config-file`, so that a set is made again with the settings it was made with;
these keys describe the set itself and are passed over without a warning. `dataset/set_config.py` writes them.
"""

SET_KEYS = (
    "command",
    "format_version",
    "band_scales",
    "band_offsets",
    "band_low",
    "band_high",
    "optical_bands",
    "ignore_index",
    "stored_as",
    "label_mapping",
    "metadata_columns",
    "source_command",
    "source_data_hash",
    "float_steps",
    "source_train_data_dir",
)
