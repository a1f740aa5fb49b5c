"""Train the biased networks of many seeds and settings at once, into the tables' cache.

    python -m benchmarks.train_networks --data-home DIR --seeds 10 --cache-dir DIR

A small network spends its time in calls, not in arithmetic, so thirty of them trained side
by side cost about as much as three one after the other. Each has its own rows, weights, order
of batches, dropout, learning rate and stopping, as `train_biased_net` has them: the networks
differ from its own by random numbers only. `benchmarks.run_tables` and `benchmarks.paper` then
find them in the cache instead of training theirs.
"""

import argparse
import time
import warnings
from dataclasses import replace

import numpy as np
import torch
from joblib import Memory
from sklearn.model_selection import train_test_split
from skorch import NeuralNetClassifier
from torch.nn import functional as F

from benchmarks.paper.protocol import TRAINING, load_splits
from skfairaug._inputs._contexts import isolated_random_state
from skfairaug.benchmark._biased_net import train_biased_net
from skfairaug.metrics import threshold_curve
from skfairaug.modules import TabularMLP

DROPOUT, EPSILON, BETAS = 0.2, 1e-8, (0.9, 0.999)


class Ensemble:
    """Networks of one depth and width as stacked tensors, each trained by itself.

    Parameters
    ----------
    modules : list of TabularMLP
        Freshly made, in the order of the members. Those with fewer columns are filled up
        with columns of zeros, whose weights never move.
    """

    def __init__(self, modules):
        self.modules = modules
        self.depth = len(modules[0].body) // 4
        width = max(module.body[0].weight.shape[1] for module in modules)
        states = [module.state_dict() for module in modules]
        for state in states:
            first = state["body.0.weight"]
            state["body.0.weight"] = F.pad(first, (0, width - first.shape[1]))
        self.state = {
            name: torch.stack([state[name] for state in states]) for name in states[0]
        }
        self.weights = [n for n, _ in modules[0].named_parameters()]
        self.buffers = [n for n, b in modules[0].named_buffers() if b.is_floating_point()]
        for name in self.weights:
            self.state[name].requires_grad_(True)
        self.moments = {
            name: [torch.zeros_like(self.state[name]) for _ in BETAS] for name in self.weights
        }
        self.steps = 0

    def forward(self, X, training):
        """Logits (members, rows, classes) of rows (members, rows, columns)."""
        for i in range(self.depth):
            X = F.relu(self._linear(X, f"body.{4 * i}"))
            X = F.dropout(X, DROPOUT, training)
            X = self._batch_norm(X, f"body.{4 * i + 3}", training)
        return self._linear(X, "head")

    def _linear(self, X, name):
        weight, bias = self.state[f"{name}.weight"], self.state[f"{name}.bias"]
        return torch.baddbmm(bias[:, None], X, weight.mT)

    def _batch_norm(self, X, name, training):
        members, rows, width = X.shape
        flat = X.transpose(0, 1).reshape(rows, members * width)
        parts = [
            self.state[f"{name}.{part}"].flatten()
            for part in ("running_mean", "running_var", "weight", "bias")
        ]
        flat = F.batch_norm(flat, *parts, training, 0.1, 1e-5)
        if training:
            for part, values in zip(("running_mean", "running_var"), parts, strict=False):
                self.state[f"{name}.{part}"] = values.view(members, width)
        return flat.view(rows, members, width).transpose(0, 1)

    def step(self, X, y, lr):
        """One step of Adam on a batch of each member; `lr` has one rate for each."""
        logits = self.forward(X, True)
        losses = F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none")
        losses.view(y.shape).mean(1).sum().backward()
        self.steps += 1
        fixed = [1 - beta**self.steps for beta in BETAS]
        with torch.no_grad():
            for name in self.weights:
                weight, (first, second) = self.state[name], self.moments[name]
                first.lerp_(weight.grad, 1 - BETAS[0])
                second.mul_(BETAS[1]).addcmul_(weight.grad, weight.grad, value=1 - BETAS[1])
                rate = (lr / fixed[0]).view(-1, *[1] * (weight.ndim - 1))
                scale = (second / fixed[1]).sqrt_().add_(EPSILON)
                weight.sub_(rate * first / scale)
                weight.grad = None

    @torch.no_grad()
    def losses(self, X, y):
        """Mean cross-entropy of each member on rows (members, rows, columns)."""
        logits = self.forward(X, False)
        losses = F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none")
        return losses.view(y.shape).mean(1)

    def copy_member(self, i):
        """What member `i` is now, as a state dict of its module."""
        wide = self.modules[i].body[0].weight.shape[1]
        state = {
            name: self.state[name][i].detach().clone() for name in self.weights + self.buffers
        }
        state["body.0.weight"] = state["body.0.weight"][:, :wide].clone()
        return state

    def keep(self, members):
        """Go on with some of the members only."""
        self.modules = [self.modules[i] for i in members.tolist()]
        for name in self.weights + self.buffers:
            part = self.state[name].detach()[members].clone()
            self.state[name] = part.requires_grad_(name in self.weights)
        for name in self.weights:
            self.moments[name] = [moment[members] for moment in self.moments[name]]


def train_together(rows, seeds, *, batch_size, patience):
    """Best state dict of each network, trained as `train_biased_net` does once.

    Parameters
    ----------
    rows : list of (ndarray, ndarray, ndarray, ndarray)
        X and y to train on, X and y that stop the training; as many rows in each member.
    seeds : list of int
        Seed of each network's weights.
    batch_size, patience : int
        See `train_biased_net`.

    Returns
    -------
    modules : list of TabularMLP
        In evaluation mode.
    """
    modules = []
    for seed, part in zip(seeds, rows, strict=True):
        with isolated_random_state(seed):
            modules.append(TabularMLP(part[0].shape[1]))
    result, ensemble = list(modules), Ensemble(list(modules))
    width = max(part[0].shape[1] for part in rows)
    X, y, X_held, y_held = (
        torch.stack(
            [
                F.pad(torch.from_numpy(one), (0, width - one.shape[1]))
                if one.ndim == 2
                else torch.from_numpy(one)
                for one in parts
            ]
        )
        for parts in zip(*rows, strict=True)
    )
    alive = torch.arange(len(rows))
    lr = torch.full((len(rows),), 1e-3)
    best, low = [None] * len(rows), torch.full((len(rows),), float("inf"))
    since, level, flat = (torch.zeros(len(rows)) for _ in range(3))
    level += float("inf")
    n_batches = y.shape[1] // batch_size
    generator = torch.Generator().manual_seed(seeds[0])
    with torch.random.fork_rng():
        torch.manual_seed(seeds[0])
        for epoch in range(30 * patience):
            order = torch.rand(len(alive), y.shape[1], generator=generator).argsort(1)
            member = alive[:, None]
            for i in range(n_batches):
                batch = order[:, i * batch_size : (i + 1) * batch_size]
                ensemble.step(X[member, batch], y[member, batch], lr)
            loss = ensemble.losses(X_held[alive], y_held[alive])
            # EarlyStopping and ReduceLROnPlateau, each with its relative threshold of 1e-4.
            better = loss < low * (1 - 1e-4)
            low, since = torch.where(better, loss, low), torch.where(better, 0, since + 1)
            for i in better.nonzero()[:, 0]:
                best[alive[i]] = ensemble.copy_member(int(i))
            better = loss < level * (1 - 1e-4)
            level, flat = torch.where(better, loss, level), torch.where(better, 0, flat + 1)
            slower = flat > max(3, patience // 3)  # ReduceLROnPlateau's count
            lr, flat = torch.where(slower, lr * 0.1, lr), torch.where(slower, 0, flat)
            going = (since < patience).nonzero()[:, 0]
            if not len(going):
                break
            if len(going) < len(alive):
                ensemble.keep(going)
                alive, lr, low, since, level, flat = (
                    values[going] for values in (alive, lr, low, since, level, flat)
                )
            print(f"epoch {epoch + 1}: {len(alive)} going", flush=True)
    for module, state in zip(result, best, strict=True):
        module.load_state_dict(state, strict=False)
        module.eval()
    return result


def as_net(module, train_rows, batch_size, patience, classes):
    """The fitted skorch net that `train_biased_net` returns, around a trained module."""
    net = NeuralNetClassifier(
        TabularMLP,
        module__n_features=train_rows.X.shape[1],
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=batch_size,
        max_epochs=30 * patience,
        iterator_train__shuffle=True,
        iterator_train__drop_last=True,
        train_split=None,
        verbose=0,
    ).initialize()
    net.module_.load_state_dict(module.state_dict())
    net.classes_inferred_ = classes
    net.module_.eval()
    return net


def put(memory, result, *args, **kwargs):
    """Store a result as if the remembered function had been called."""
    call = memory.cache(train_biased_net)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "function has changed", where the cache is new
        call.check_call_in_cache(*args, **kwargs)
    call._check_previous_func_code(stacklevel=3)  # writes the code that the result is of
    call_id = (call.func_id, call._get_args_id(*args, **kwargs))
    call.store_backend.dump_item(call_id, result)


def main():
    args = parse()
    torch.set_num_threads(1)
    memory = Memory(args.cache_dir, verbose=0)
    jobs = []
    for name in args.settings:
        data, sensitive, dropped = name.split(":")
        for seed in args.seeds:
            train = load_splits(
                data, sensitive, seed, args.data_home, drop_sensitive=dropped == "dropped"
            )[0]
            train = replace(train, groups=np.empty(0))
            if not memory.cache(train_biased_net).check_call_in_cache(
                train, seed, **TRAINING[data]
            ):
                jobs.append((data, seed, train))
    for data in dict.fromkeys(data for data, _, _ in jobs):
        members = [(seed, train) for name, seed, train in jobs if name == data]
        train_data(memory, data, members)


def train_data(memory, data, members):
    """Train the networks of one data set; those below its floor again, twice as patiently."""
    for attempt in range(3):
        training = TRAINING[data]
        patience = training["patience"] * 2**attempt
        rows, start = [], time.perf_counter()
        for seed, train in members:
            fit, held = train_test_split(
                np.arange(len(train.y)), test_size=0.1, stratify=train.y, random_state=seed
            )
            rows.append((train.X[fit], train.y[fit], train.X[held], train.y[held]))
        modules = train_together(
            rows,
            [seed + 1000 * attempt for seed, _ in members],
            batch_size=training["batch_size"],
            patience=patience,
        )
        seconds = (time.perf_counter() - start) / len(members)
        left = []
        for module, (seed, train), (_, _, X, y) in zip(modules, members, rows, strict=True):
            net = as_net(module, train, training["batch_size"], patience, np.unique(train.y))
            score = net.predict_proba(X)[:, 1]
            curve = threshold_curve(y, score, np.zeros(len(y), int), "statistical_parity", 1)
            accuracy = curve.balanced_accuracy.max()
            if accuracy < training["floor"] and attempt < 2:
                left.append((seed, train))
                continue
            put(memory, (net, seconds), train, seed, **training)
            print(f"{data}, seed {seed}: {accuracy:.3f}, {seconds:.1f} s", flush=True)
        members = left
        if not members:
            break


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-home")
    parser.add_argument("--cache-dir", default="benchmarks/output/nets")
    parser.add_argument(
        "--settings",
        type=lambda text: text.split(","),
        default=[
            f"{one}:{kind}"
            for one in ("adult:sex", "adult:race", "bank:age", "compas:sex", "german:sex")
            for kind in ("dropped", "kept")
        ],
        help="data:sensitive:kept or dropped, separated by commas",
    )
    parser.add_argument(
        "--seeds",
        type=lambda text: list(range(*map(int, text.split("-")))),
        default=list(range(10)),
        metavar="FROM-TO",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
