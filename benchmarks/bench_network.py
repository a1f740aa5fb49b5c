"""Networks for tables against LightGBM: balanced accuracy and seconds of training.

    python -m benchmarks.bench_network --data-home DIR [--data adult,bank] [--seeds 0,1,2]

One thread. Each trains on the training part, takes the threshold of best balanced accuracy
on the validation part, and is judged once on the test part; no fairness is asked.
"""

import argparse
import time

import numpy as np
import torch
from lightgbm import LGBMClassifier
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from threadpoolctl import threadpool_limits

from benchmarks.paper.protocol import TRAINING, load_splits
from skfairaug._inputs._contexts import isolated_random_state
from skfairaug.benchmark._biased_net import best_threshold_predictions, train_biased_net
from skfairaug.modules import make_tabular_net

SENSITIVE = {"adult": "sex", "bank": "age", "compas": "sex", "german": "sex"}


def paper(train, data, seed):
    """The 11-layer TabularMLP of the paper's tables."""
    return train_biased_net(train, seed, **TRAINING[data])[0]


def strong(train, data, seed):
    """EmbeddingMLP as make_tabular_net trains it."""
    with isolated_random_state(seed):
        return make_tabular_net(train.X).fit(train.X, train.y)


def lightgbm(train, data, seed):
    """LightGBM as it comes, with balanced classes."""
    model = LGBMClassifier(class_weight="balanced", n_jobs=1, random_state=seed, verbose=-1)
    return model.fit(train.X, train.y)


MODELS = {"TabularMLP": paper, "EmbeddingMLP": strong, "LightGBM": lightgbm}


def judge(name, data, seed, data_home):
    """Balanced accuracy, area under the ROC curve and seconds of one model on one split."""
    train, validation, test = load_splits(data, SENSITIVE[data], seed, data_home)
    start = time.perf_counter()
    model = MODELS[name](train, data, seed)
    seconds = time.perf_counter() - start
    predicted = best_threshold_predictions(model, validation, test)
    area = roc_auc_score(test.y, model.predict_proba(test.X)[:, 1])
    return balanced_accuracy_score(test.y, predicted), area, seconds


def main():
    """Print a row per data set and model: means over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-home", required=True, help="folder with the official files")
    parser.add_argument("--data", default="adult,bank,compas")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--seeds", default="0,1,2")
    args = parser.parse_args()
    torch.set_num_threads(1)
    seeds = [int(seed) for seed in args.seeds.split(",")]
    print(f"{'data':8} {'model':14} {'BA':>7} {'std':>7} {'AUC':>7} {'seconds':>8}", flush=True)
    with threadpool_limits(1):
        for data in args.data.split(","):
            for name in args.models.split(","):
                runs = np.array([judge(name, data, seed, args.data_home) for seed in seeds])
                accuracy, area, seconds = runs.mean(0)
                print(
                    f"{data:8} {name:14} {accuracy:7.4f} {runs[:, 0].std():7.4f} "
                    f"{area:7.4f} {seconds:8.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
