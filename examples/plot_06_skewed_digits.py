"""
Images of many classes: digits with a skewed colour
===================================================

Even digits mostly come in gray, odd ones in colour, and the network that learns them takes the
colour for a part of the digit. Three hundred digits of which half are gray, whatever they say,
take that back. The same code makes a network for CIFAR-10S fair
(:func:`~skfairaug.datasets.fetch_cifar10s`); this one needs no download and no GPU.
"""

# %%
# The skew
# --------
# scikit-learn's digits, with noise to make them hard. 95% of the odd training images are in
# colour and 95% of the even ones in gray; every test image comes once in each.

import warnings

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.metrics import accuracy_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from skfairaug import AdversarialAugmenter, FairAugmentFineTuner
from skfairaug.datasets import make_skewed_digits, to_gray
from skfairaug.exceptions import SmallGroupWarning
from skfairaug.metrics import bias_amplification
from skfairaug.modules import SmallConvNet, make_image_net
from skfairaug.rivals import PlainFineTuning

digits = make_skewed_digits(skew=0.95, noise=0.2, random_state=0)
train, validation, test = digits.train, digits.validation, digits.test


def show(ax, images, title):
    """Images side by side, pixels in [0, 1]."""
    row = np.concatenate(list(images.transpose(0, 2, 3, 1)), axis=1)
    ax.imshow(row, interpolation="nearest")
    ax.set_title(title, fontsize="medium")
    ax.axis("off")


figure, axes = plt.subplots(3, 1, figsize=(8, 2.2), layout="constrained")
for ax, part in zip(axes, ("train", "validation", "test"), strict=True):
    data = digits[part]
    rows = [np.flatnonzero(data.target == c)[[0, -1]] for c in range(10)]
    show(ax, data.data[np.concatenate(rows)] / 255, part)
plt.show()

# %%
# A biased network
# ----------------
# `make_image_net` trains it as pixels, uint8, and takes care of the rest: they are
# normalised in the network's first layer.

torch.manual_seed(0)
net = make_image_net(len(train.data), SmallConvNet, max_epochs=10, batch_size=64, lr=0.1)
net.fit(train.data, train.target)


def judge(name, model):
    """Accuracy and bias amplification on test images."""
    y_pred = model.predict(test.data)
    amplification = bias_amplification(
        test.target, y_pred, sensitive_features=test.sensitive_features
    )
    accuracy = accuracy_score(test.target, y_pred)
    print(f"{name:30s} accuracy {accuracy:.3f}, amplification {amplification:.3f}")


judge("biased network", net)

# %%
# Fine-tuned
# ----------
# Plain fine-tuning on the balanced images is the floor of any comparison. The fair teacher is
# the biased network with what it learned of the classes' frequencies in each group taken back,
# and the third way attacks the current network's pixels in every batch as well. Each digit has
# 15 balanced images in each colour, of which every fit would warn; the test images are 1000.

warnings.simplefilter("ignore", SmallGroupWarning)
goal = {
    "constraint": "bias_amplification",
    "tolerance": 0.05,
    "max_epochs": 5,
    "steps_per_epoch": 15,
    "batch_size": 100,
    "random_state": 0,
}
augmenter = AdversarialAugmenter(radius=4 / 255, counterfactual=to_gray, joint=True)
models = {
    "plain fine-tuning": PlainFineTuning(net, lr=5e-4, validation_fraction=0.0, **goal),
    "fair teacher": FairAugmentFineTuner(net, **goal),
    "fair teacher, joint attacks": FairAugmentFineTuner(net, augmenter=augmenter, **goal),
}
for name, model in models.items():
    model.fit(
        validation.data, validation.target, sensitive_features=validation.sensitive_features
    )
    judge(name, model)

# %%
# Or without the group
# --------------------
# Colour is special: a function takes it out of an image. The network then says the same to both
# copies of a test image, and its amplification is nothing at all. Few groups can be taken out
# (no function removes a sex or a skin tone from a face); where one can, try this first.

gray = Pipeline(
    [("gray", FunctionTransformer(to_gray)), ("fair", FairAugmentFineTuner(net, **goal))]
)
gray.fit(
    validation.data,
    validation.target,
    fair__sensitive_features=validation.sensitive_features,
)
judge("fair teacher, gray images", gray)

# %%
# What an attack changes
# ----------------------
# It moves an image towards others of its digit and both groups, as the biased network sees
# them, by at most 16 of 255 here. Where the network looks for colour, colour is what changes.

attack = AdversarialAugmenter(net, radius=16 / 255, n_steps=10, random_state=0)
moved = attack.fit_transform(
    validation.data, validation.target, sensitive_features=validation.sensitive_features
)
rows = [np.flatnonzero(validation.target == c)[0] for c in range(10)]
before = validation.data[rows] / 255
figure, axes = plt.subplots(3, 1, figsize=(7, 3), layout="constrained")
show(axes[0], before, "validation images")
show(axes[1], moved[rows], "attacked")
difference = 0.5 + (moved[rows] - before) * 255 / 32
show(axes[2], difference.clip(0, 1), "difference, enlarged eight times")
plt.show()

# %%
# What the network sees
# ---------------------
# The paper's Figure 2: representations of two digits in gray and in colour. In the biased
# network an eight in colour, of which it saw few, is half a nine; in the fair one the digit
# decides.


def representation(net, X):
    """Input of the last layer."""
    seen = []
    hook = net.module_.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    net.predict(X)
    hook.remove()
    return torch.cat(seen).numpy()


figure, axes = plt.subplots(1, 2, figsize=(8, 3.8), layout="constrained")
fair = models["fair teacher"].net_
is_gray = (test.sensitive_features == "gray").to_numpy()
for ax, (title, one) in zip(axes, {"biased": net, "fair": fair}.items(), strict=True):
    shown = np.isin(test.target, (8, 9))
    Z = PCA(2).fit_transform(representation(one, test.data[shown]))
    for digit, color in ((8, "C0"), (9, "C2")):
        for group, alpha in ((is_gray, 0.3), (~is_gray, 1.0)):
            rows = ((test.target == digit) & group)[shown]
            label = f"{digit}, {'gray' if group is is_gray else 'colour'}"
            ax.scatter(*Z[rows].T, s=12, color=color, alpha=alpha, label=label)
    ax.set(title=f"{title} network", xlabel="component 1", ylabel="component 2")
axes[1].legend()
plt.show()
