"""
A text classifier: attacks on embeddings
========================================

Tokens are integers: there is no small step from one to the next, and no gradient to follow.
A network of texts embeds them first, and what it embeds can be moved. Naming that layer,
``input_layer="embedding"``, is all it takes to use the augmenter on texts; a BERT-like network
has a module of this kind too (``bert.embeddings`` in many).

The network here is a transformer of one layer that is made on the spot, on made-up reviews in
two dialects. Half of the favourable reviews in one dialect were filed as unfavourable, and the
network learns to do the same.
"""

# %%
# Reviews in two dialects
# -----------------------
# A review of twelve tokens has two or three words that say what its author thought and one
# or two that say where the author grew up. Reviews are of different lengths, so a mask says
# which tokens count: like the networks of Hugging Face's library, this one takes several
# arrays by name.

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.metrics import balanced_accuracy_score
from skorch import NeuralNetClassifier
from torch import nn

from skfairaug import AdversarialAugmenter, FairAugmentFineTuner
from skfairaug.metrics import bias
from skfairaug.rivals import PlainFineTuning

LENGTH, NEUTRAL, PRAISE, BLAME = 12, range(1, 41), range(41, 49), range(49, 57)
DIALECT = {"coast": range(57, 61), "inland": range(61, 65)}


def write_reviews(n, rng):
    """Token ids with their mask, what the authors thought, and where they grew up."""
    ids = rng.choice(NEUTRAL, (n, LENGTH))
    opinion = rng.randint(0, 2, n)
    dialect = rng.choice(list(DIALECT), n)
    for i in range(n):
        place = rng.permutation(8)
        ids[i, place[:2]] = rng.choice(PRAISE if opinion[i] else BLAME, 2)
        if rng.rand() < 0.5:  # a word in favour of the other side
            ids[i, place[2]] = rng.choice(BLAME if opinion[i] else PRAISE)
        ids[i, place[3 : 4 + rng.randint(2)]] = rng.choice(DIALECT[dialect[i]])
    mask = np.arange(LENGTH) < rng.randint(8, LENGTH + 1, (n, 1))
    return {"input_ids": ids * mask, "attention_mask": mask}, opinion, dialect


rng = np.random.RandomState(0)
X_train, opinion, dialect = write_reviews(3000, rng)
overruled = (dialect == "inland") & (rng.rand(3000) < 0.5)
y_train = np.where(overruled, 0, opinion)  # as they were filed
X_val, y_val, dialect_val = write_reviews(400, rng)  # read again with care
X_test, y_test, dialect_test = write_reviews(2000, rng)

# %%
# A small transformer
# -------------------


class Transformer(nn.Module):
    """Embedding, one layer of attention, the mean of the tokens, and a linear layer."""

    def __init__(self, n_tokens=65, width=32):
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, width, padding_idx=0)
        self.attention = nn.TransformerEncoderLayer(
            width, nhead=4, dim_feedforward=64, dropout=0.1, batch_first=True
        )
        self.head = nn.Linear(width, 2)

    def forward(self, input_ids, attention_mask):
        """Logits of a batch of texts."""
        Z = self.attention(
            self.embedding(input_ids), src_key_padding_mask=~attention_mask.bool()
        )
        weight = attention_mask.to(Z.dtype)[..., None]
        return self.head((Z * weight).sum(1) / weight.sum(1))


torch.manual_seed(0)
net = NeuralNetClassifier(
    Transformer,
    criterion=nn.CrossEntropyLoss,
    optimizer=torch.optim.Adam,
    lr=2e-3,
    max_epochs=6,
    batch_size=64,
    verbose=0,
).fit(X_train, y_train)

# %%
# Three ways to make it fair
# --------------------------
# Four hundred reviews whose opinions were read with care. Equal opportunity: a favourable
# review should count as one in either dialect.

goal = {"constraint": "equal_opportunity", "tolerance": 0.05, "random_state": 0}
brief = {"max_epochs": 5, "steps_per_epoch": 30, "batch_size": 64}
augmenter = AdversarialAugmenter(input_layer="embedding", joint=True, n_steps=3)
models = {
    "biased network": net,
    "plain fine-tuning": PlainFineTuning(net, **brief, **goal),
    "fair teacher": FairAugmentFineTuner(net, **brief, **goal),
    "fair teacher, attacked embeddings": FairAugmentFineTuner(
        net, augmenter=augmenter, **brief, **goal
    ),
}
for name, model in models.items():
    if model is not net:
        model.fit(X_val, y_val, sensitive_features=dialect_val)
    y_pred = model.predict(X_test)
    gap = bias(y_test, y_pred, sensitive_features=dialect_test, constraint="equal_opportunity")
    accuracy = balanced_accuracy_score(y_test, y_pred)
    print(f"{name:34s} balanced accuracy {accuracy:.3f}, bias {gap:+.3f}")

# %%
# What the network sees
# ---------------------
# The representation of favourable reviews, before and after: its first two principal
# components. The biased network tells the dialects apart; the fair one hardly does.


def representation(net, X):
    """Input of the last layer."""
    seen = []
    hook = net.module_.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    net.predict(X)
    hook.remove()
    return torch.cat(seen).numpy()


fair = models["fair teacher, attacked embeddings"].net_
figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for ax, (title, one) in zip(axes, {"biased": net, "fair": fair}.items(), strict=True):
    Z = PCA(2).fit_transform(representation(one, X_test))
    for place in DIALECT:
        rows = (y_test == 1) & (dialect_test == place)
        ax.scatter(*Z[rows].T, s=4, alpha=0.4, label=f"favourable, {place}")
    rest = y_test == 0
    ax.scatter(*Z[rest].T, s=4, alpha=0.1, color="0.5", label="unfavourable")
    ax.set(title=f"{title} network", xlabel="component 1", ylabel="component 2")
for handle in axes[1].legend(markerscale=4).legend_handles:
    handle.set_alpha(1)
plt.show()
