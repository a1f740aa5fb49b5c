"""Draw what an attack changes in CIFAR-10S, and what a network sees before and after.

    python -m benchmarks.draw_images --data-home DIR [--scale 0.1] [--out .]

Trains the biased network of ``python -m benchmarks.paper tables --table 1 --seeds 1`` (or takes
it from ``--cache-dir``), makes it fair, and writes ``cifar10s-attacked.png`` and
``cifar10s-representation.png``: ten validation images attacked, and the two leading components
of the last layer's input on test images of two classes, which is the paper's Figure 2.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import torch
from joblib import Memory
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

from benchmarks.paper.image_rows import Scale, image_net, ours, train_image_net
from benchmarks.paper.image_tables import Images, source_of
from benchmarks.paper.published import CIFAR_95
from skfairaug import AdversarialAugmenter

NAMES = ["plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
#: Classes of Figure 2: one mostly in gray, one mostly in colour.
SHOWN = (4, 7)
RADIUS = 16 / 255


def main():
    args = parse()
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    scale = Scale(args.scale)
    images = Images(source_of(CIFAR_95, scale, args.data_home, None).fetch(0))
    train, validation, test = images.rows
    mixed = True if args.bfloat16 else "auto"
    make_net = partial(image_net, scale=scale, device=args.device, mixed_precision=mixed)
    remember = Memory(args.cache_dir, verbose=0).cache
    net = remember(train_image_net)(images.X[train], images.y[train], 0, make_net)
    fair = ours(scale, constraint="bias_amplification", random_state=0)
    fair.set_params(estimator=net).fit(
        images.X[validation],
        images.y[validation],
        sensitive_features=images.groups.iloc[validation],
    )
    draw_attack(net, images, validation).savefig(out / "cifar10s-attacked.png", dpi=120)
    figure = draw_representations({"biased": net, "fair": fair.net_}, images, test)
    figure.savefig(out / "cifar10s-representation.png", dpi=120)


def draw_attack(net, images, rows):
    """A validation image of each class, attacked, and what changed."""
    rows = rows[:500]
    X, y = images.X[rows], images.y[rows]
    attack = AdversarialAugmenter(net, radius=RADIUS, n_steps=10, random_state=0)
    moved = attack.fit_transform(X, y, sensitive_features=images.groups.iloc[rows])
    first = [np.flatnonzero(y == c)[0] for c in range(10)]
    before, after = X[first] / 255, moved[first]
    change = (0.5 + (after - before) / (2 * RADIUS)).clip(0, 1)
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    parts = {"validation": before, "attacked": after, "change, enlarged": change}
    for ax, (title, part) in zip(figure.subplots(3, 1), parts.items(), strict=True):
        ax.imshow(np.concatenate(list(part.transpose(0, 2, 3, 1)), axis=1))
        ax.set_ylabel(title, fontsize="small")
        ax.set(xticks=16 + 32 * np.arange(10), xticklabels=NAMES, yticks=[])
        ax.tick_params(length=0)
    return figure


def draw_representations(nets, images, rows):
    """Principal components of the last layer's input, classes by colour, groups by mark."""
    shown = rows[np.isin(images.y[rows], SHOWN)]
    y, gray = images.y[shown], (images.groups.iloc[shown] == "gray").to_numpy()
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    for ax, (title, net) in zip(figure.subplots(1, 2), nets.items(), strict=True):
        Z = PCA(2).fit_transform(representation(net, images.X[shown]))
        for c, color in zip(SHOWN, ("C0", "C1"), strict=True):
            for group, mark, name in ((gray, "o", "gray"), (~gray, "+", "colour")):
                part = (y == c) & group
                ax.scatter(
                    *Z[part].T,
                    s=14,
                    marker=mark,
                    color=color,
                    alpha=0.6,
                    linewidths=0.8,
                    label=f"{NAMES[c]}, {name}",
                )
        ax.set(title=f"{title} network", xlabel="component 1", ylabel="component 2")
    ax.legend(fontsize="small")
    return figure


def representation(net, X):
    """Input of the last layer."""
    seen = []
    hook = net.module_.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        net.predict(X)
    finally:
        hook.remove()
    return torch.cat(seen).float().cpu().numpy()


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-home", help="folder that holds the official files")
    parser.add_argument("--scale", type=float, default=0.1, help="share of the images")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--bfloat16", action="store_true", help="compute in it on a CPU too")
    parser.add_argument("--cache-dir", help="keep the biased network here")
    parser.add_argument("--out", default=".", help="folder of the figures")
    return parser.parse_args()


if __name__ == "__main__":
    main()
