"""A run's files in the form of evidence format 1."""

import json

PROBE = {
    "features.weights": "pretrained", "features.input_size": 0, "features.tap": 1.0, "freeze.depth": 1.0,
    "freeze.batchnorm": "eval", "head.name": "ridge", "head.init": "probe", "train.balance": "auto",
}  # fmt: skip
TUNED = {
    **PROBE, "freeze.depth": 0.4, "freeze.batchnorm": "auto", "head.name": "linear", "head.linear.l2": 0.0003,
    "optimizer.name": "adamw", "optimizer.lr": 0.0003, "optimizer.lr_ratio": 10.0, "optimizer.weight_decay": 0.001,
    "train.epochs": 3, "train.batch_size": 16, "train.warmup": 0.1, "train.label_smoothing": 0.0, "train.mixup": 0.0,
    "train.ema": 0.0, "optimizer.layer_decay": 1.0, "optimizer.l2_sp": 0.0, "train.drop_path": 0.0,
    "train.augment": "crop", "features.cache": "auto", "features.views": 4,
}  # fmt: skip
REPORT = {
    "dataset": {"location": "shapes", "digest": "5942c17f563ae5c8", "several_labels": False,
                "splits": {"train": 57, "val": 15, "test": 18}, "classes": ["across", "blobs", "down"]},
    "backbone": {"name": "tiny", "source": "seed", "sha256": "", "licence": "mit", "trained_on": "nothing"},
    "recipe": "test", "scenario": None,
    "advice": {"expected": {"metric": "accuracy", "accuracy": 0.61, "low": 0.4, "high": 0.7}},
    "seed": 0, "device": "cpu",
    "search": {"budget": 90.0, "trials": 6, "ended": "trials", "seconds": 7.31928, "trials_run": 2},
    "winner": {"number": 0, "kind": "trial", "trained": 0.666667, "values": TUNED},
    "choice": {"chosen": 0, "best": 0, "behind": 0.0, "behind_standard_error": 0.0, "optimism": 0.0,
               "judged_under_every_seed": 2,
               "rivals": [{"trial": 0, "kind": "trial", "accuracy": 0.933333, "seeds": 1, "first_seed": 0.933333},
                          {"trial": -5, "kind": "probe", "accuracy": 0.8, "seeds": 1, "first_seed": 0.8}]},
    "metric": "accuracy", "validation_accuracy": 0.933333, "validation_folds": 1, "validation_images": 15,
    "probe_validation_accuracy": 0.8, "test_accuracy": 0.944444, "test_interval_95": [0.742, 0.99],
    "test_balanced_accuracy": 0.944444, "test_images": 18, "temperature": 1.0,
    "test_per_class": {"across": {"images": 6, "recall": 0.833333}, "blobs": {"images": 6, "recall": 1.0},
                       "down": {"images": 6, "recall": 1.0}},
    "versions": {"python": "3.11.7", "torch": "2.5.0"},
    "plugins": {"heads": {"distribution": "transfer-advisor", "version": "0.1.0", "status": "active"}},
}  # fmt: skip
EVIDENCE = {
    "format": 1,
    "stages": ["bn1", "layer1", "layer2", "layer3", "layer4"],
    "trials": [
        {"number": -5, "kind": "probe", "state": "COMPLETE", "scenario": "", "values": PROBE, "accuracy": 0.8,
         "seconds": 0.2, "tap": 5, "frozen": 5, "trained": None, "reason": "", "ended": 1795966954.5, "curve": []},
        {"number": 0, "kind": "trial", "state": "COMPLETE", "scenario": "test", "values": TUNED, "accuracy": 0.933333,
         "seconds": 1.6, "tap": 5, "frozen": 2, "trained": 2 / 3, "reason": "", "ended": 1795966956.5,
         "curve": [[1, 4, 0.109, 0.8], [2, 8, 0.189, 0.933333]]},
        {"number": 1, "kind": "repeat", "state": "COMPLETE", "scenario": "", "values": TUNED, "accuracy": 0.933333,
         "seconds": None, "tap": None, "frozen": None, "trained": None, "reason": "the same values as trial 0",
         "ended": 1795966957.5, "curve": []},
        {"number": 2, "kind": "out of time", "state": "FAIL", "scenario": "", "values": {}, "accuracy": None,
         "seconds": None, "tap": None, "frozen": None, "trained": None, "reason": "no time", "ended": 1795966958.5,
         "curve": []},
    ],
    "importances": {"freeze.depth": 1.0},
    "mistakes": [{"path": "across/1.png", "label": "across", "predicted": "down", "probability": 0.7, "own": 0.2,
                  "picture": "data:image/jpeg;base64,AA=="}],
    "forecast": {"metric": "accuracy", "accuracy": 0.61, "low": 0.4, "high": 0.7},
}  # fmt: skip
PREDICTIONS = "path,label,predicted,probability,own\nacross/1.png,across,down,0.7,0.2\ndown/2.png,down,down,0.9,0.9\n"


def write_old_run(folder):
    """Write it, and say where."""
    (folder / "best").mkdir(parents=True)
    (folder / "best" / "report.json").write_text(json.dumps(REPORT))
    (folder / "evidence.json").write_text(json.dumps(EVIDENCE))
    (folder / "predictions.csv").write_text(PREDICTIONS)
    return folder
