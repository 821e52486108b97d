"""When a trial of a search is not worth going on with: rules, the judge that applies them, and when a search is done.

| module          | what it says                                                                     |
|-----------------|----------------------------------------------------------------------------------|
| `rule.py`       | the settings                                                                     |
| `record.py`     | what is known of a trial: scores of its runs, their learning curves               |
| `fold_rule.py`  | stop between runs: the trial against the best one, paired by fold and seed        |
| `epoch_rule.py` | stop within a run: rungs of epochs, each of which only the best share passes      |
| `decision.py`   | both together: a reason in words, or None                                         |
| `judge.py`      | the judge of a trial: keeps its curves in the study, and asks the rules           |
| `done.py`       | when a whole search is done                                                       |
| `setup.py`      | a search with what its options say                                                |

Rules are pure functions of records, so `benchmarks/pruning.py` replays exactly what a search does.
"""
