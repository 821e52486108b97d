"""From scenes to a map with the functions behind the commands. Tiny settings: seconds instead of hours."""

import sys
from importlib.resources import files
from pathlib import Path

import darts_train
from darts_train.options.learning import Artifacts, Data, Device, Hyperparameters, Run, Split, Tracking, Training
from darts_train.options.model_files import Convert
from darts_train.options.predicting import Maps, Predict, SceneFiles, Windows
from darts_train.options.preprocessing import Output, Patches, Raster

here = Path(sys.argv[1] if len(sys.argv) > 1 else "api-example")
scenes = Path(str(files("darts_train.quickstart") / "scenes"))

# Scenes and label rasters → train data. Label values: 4 is cloud, all others are background.
summary = darts_train.preprocess_raster_train_data(
    raster=Raster(
        table=scenes / "table.csv",
        scale=1e-4,
        classes=("background", "cloud"),
        remap="0:0,1:0,2:0,3:0,4:1",
        optical_range="0,1",
    ),
    output=Output(train_data_dir=here / "train_data"),
    patches=Patches(patch_size=64, overlap=0),
)
print(summary.summary())

# What was written is a table and two arrays.
data = darts_train.TrainData.open(here / "train_data")
print(data.metadata.groupby("region")["positive_fraction"].mean())

# Train data → one trained network. Landsat-5 tests, so it neither trains nor validates.
run = darts_train.train_smp(
    data=Data(train_data_dir=here / "train_data"),
    split=Split(data_split_method="region", data_split_by=("landsat5",), fold_method="region", total_folds=2),
    hyperparameters=Hyperparameters(model_arch="Linknet", model_encoder="mobilenet_v2", batch_size=16),
    training=Training(max_epochs=1, plot_every_n_val_epochs=0, in_memory=True),
    run=Run(run_name="example"),
    artifacts=Artifacts(artifact_dir=here / "artifacts"),
    device=Device(device="cpu"),
    tracking=Tracking(),
)
print(run.summary())

# Checkpoint → model file → map.
model = darts_train.convert_lightning_checkpoint(
    convert=Convert(lightning_checkpoint=run.best_checkpoint, out_directory=here / "model", checkpoint_name="clouds")
)
maps = darts_train.predict(
    predict=Predict(model=model.path, device="cpu"),
    scenes=SceneFiles(input=(scenes / "landsat5_toa6.tif",)),
    windows=Windows(),
    maps=Maps(out_dir=here / "maps"),
)
print(maps.summary())
