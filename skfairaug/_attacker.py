"""An augmenter's parameters at work on a task: what step 1 does to its rows."""

import torch

from skfairaug._nets import PREDICT_ROWS, Encoder, find_head, frozen
from skfairaug._task import Batch
from skfairaug._validation import column_indices
from skfairaug.steps.attack import NORMS, global_attack, partner_means
from skfairaug.steps.importance import counterfactual_gap, importance_weights
from skfairaug.steps.select import reward

#: Radius of each norm's ball, in units of a standardised table.
DEFAULT_RADIUS = {"linf": 0.1, "l2": 0.5}


class Attacker:
    """An augmenter's parameters at work on a task: attacks rows, weighs and batches them."""

    def __init__(self, augmenter, task, layer=None):
        self.task = task
        self.params = augmenter
        head = find_head(task.net, task.X, augmenter.layer or layer)
        self.encoder = Encoder(task.net, head)
        self.norms = check_norms(augmenter.norm)
        check_clip(augmenter.clip)
        self.movable = movable_inputs(augmenter.perturb, task)
        self.probabilities = torch.full((len(self.norms),), 1.0 / len(self.norms))
        self.targets = None

    def radius(self, norm):
        """Radius of a norm's ball, in units of X."""
        given = self.params.radius
        if given is None:
            return DEFAULT_RADIUS[norm]
        return given if len(self.norms) == 1 else given * DEFAULT_RADIUS[norm]

    def refresh(self):
        """Draw partners, and see where the current network puts them."""
        task, params = self.task, self.params
        rows = task.train
        groups, flip = task.groups[rows], params.flip_probability
        if flip is None:
            groups, flip = torch.zeros_like(groups), 0.0
        with frozen(task.net.module_):
            representations = self.encoder.all_rows(task.X[rows])
        means = partner_means(
            representations,
            task.y[rows],
            groups,
            n_partners=params.n_partners,
            flip_probability=flip,
            generator=task.generator,
        )
        self.targets = means.new_zeros(len(task.y), means.shape[1])
        self.targets[rows] = means

    def attack(self, rows, norm):
        """Adversarial counterparts of the task's `rows` under the current network."""
        params = self.params
        with frozen(self.task.net.module_):
            return global_attack(
                self.encoder,
                self.task.X[rows],
                self.targets[rows],
                norm=norm,
                radius=self.radius(norm),
                step_size=params.step_size,
                n_steps=params.n_steps,
                direction=params.direction,
                movable=self.movable,
                clip=params.clip,
                generator=self.task.generator,
            )

    def attack_all(self):
        """Counterparts of all training rows, each by one norm at random."""
        task = self.task
        out = torch.empty_like(task.X)
        kinds = torch.randint(
            len(self.norms),
            (len(task.train),),
            generator=task.generator,
            device=task.X.device,
        )
        for kind, norm in enumerate(self.norms):
            for rows in task.train[kinds == kind].split(PREDICT_ROWS):
                out[rows] = self.attack(rows, norm)
        return out

    def weights(self, X, rows):
        """Eq. 10 weights of perturbed rows under the current network."""
        task = self.task
        log_probas, gaps = [], []
        with frozen(task.net.module_):
            for part in X.split(PREDICT_ROWS):
                log_probas.append(task.predict_proba(part).log())
                gaps.append(self._gap(part))
        return self._importance(torch.cat(log_probas), torch.cat(gaps), rows)

    def _gap(self, X):
        task = self.task
        return counterfactual_gap(task.predict_proba, X, task.columns, task.group_values)

    def _importance(self, log_proba, gap, rows):
        return importance_weights(
            self.task.soft_bias(log_proba, rows),
            gap,
            tolerance=self.task.goal.tolerance,
            scale=self.params.weight_scale,
            gap_scale=self.params.gap_scale,
        )

    def batches(self, n_batches, batch_size, X_adv=None):
        """An epoch of batches, real rows first and adversarial ones behind.

        `X_adv` holds the attacked rows of the sequential schedule. None attacks each
        batch under the current network (joint training), by a norm drawn by its
        probability.
        """
        task = self.task
        if X_adv is None:
            self.refresh()
        share, weights = 0.5, None
        if self.params.weighting == "sampling":
            X = task.X if X_adv is None else X_adv
            with torch.no_grad():
                drawn = self.weights(X[task.train], task.train)
            weights = drawn.new_zeros(len(task.y))
            weights[task.train] = drawn
            # A real row weighs 1 and an adversarial one w, so this is their share.
            share = float(drawn.mean() / (1 + drawn.mean()))
        n_real = max(task.n_classes * task.n_groups, round((1 - share) * batch_size))
        real = task.sampler.draw(n_batches, n_real)
        made = task.sampler.draw(n_batches, batch_size - n_real, weights)
        for rows, sources in zip(real, made, strict=True):
            perturbed = X_adv[sources] if X_adv is not None else self._joint(sources)
            X = torch.cat([task.X[rows], perturbed])
            both = torch.cat([rows, sources])
            importance = None
            if self.params.weighting in ("loss", "gradient"):
                importance = self._batch_importance(perturbed, sources, len(rows))
            yield Batch(X, both, len(rows), importance)

    def _batch_importance(self, X, rows, n_real):
        """Eq. 10 on the adversarial part of a batch; real rows weigh 1."""
        keep = self.params.weighting == "gradient"

        def importance(log_proba):
            with torch.set_grad_enabled(keep):
                made = log_proba[n_real:] if keep else log_proba[n_real:].detach()
                weights = self._importance(made, self._gap(X), rows)
            return torch.cat([weights.new_ones(n_real), weights])

        return importance

    def _joint(self, rows):
        """Attack a batch by every type; return that of a drawn type, reward the worst."""
        task = self.task
        if len(self.norms) == 1:
            return self.attack(rows, self.norms[0])
        attacked = [self.attack(rows, norm) for norm in self.norms]
        with torch.no_grad(), frozen(task.net.module_):
            losses = [
                -task.predict_proba(X).log().gather(1, task.y[rows, None]).mean()
                for X in attacked
            ]
        device = task.X.device
        probabilities = self.probabilities.to(device)
        drawn = torch.multinomial(probabilities, 1, generator=task.generator)
        self.probabilities = reward(probabilities, torch.stack(losses).argmax())
        return torch.stack(attacked)[drawn.squeeze(0)]


def check_norms(norm):
    """Tuple of attack types."""
    norms = (norm,) if isinstance(norm, str) else tuple(norm)
    if not norms or not set(norms) <= NORMS.keys():
        raise ValueError(f"norm must be one or several of {sorted(NORMS)}; got {norm!r}.")
    return norms


def check_clip(clip):
    """Raise where `clip` is no range."""
    if clip is not None and (len(clip) != 2 or not clip[0] < clip[1]):
        raise ValueError(f"clip must be (lowest, highest) or None; got {clip!r}.")


def movable_inputs(perturb, task):
    """Bool tensor over the columns that an attack may change; None means all inputs."""
    X = task.X
    if X.ndim != 2 or (isinstance(perturb, str) and perturb == "all"):
        return None
    if isinstance(perturb, str):
        low, high = X.amin(0), X.amax(0)
        binary = torch.ones(X.shape[1], dtype=torch.bool, device=X.device)
        for part in X.split(PREDICT_ROWS):
            binary &= ((part == low) | (part == high)).all(0)
        movable = ~binary
        movable[task.columns] = False
        return movable
    movable = torch.zeros(X.shape[1], dtype=torch.bool, device=X.device)
    movable[column_indices(perturb, X.shape[1], what="perturb")] = True
    return movable
