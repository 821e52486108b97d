"""Names of what a run logs beside its metrics."""

DATA_WAIT, SAMPLES_PER_SECOND, MFU = "health/data_wait", "health/samples_per_second", "health/mfu"
HEALTH = (DATA_WAIT, SAMPLES_PER_SECOND, MFU)  # the last only where the device's peak is known
STEP_RATE = "train/learning_rate"  # of a logged step, where the rate changes with every step
