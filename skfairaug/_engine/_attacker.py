"""An augmenter's parameters at work on a task: what step 1 does to its rows."""

import torch

from skfairaug._engine._attack_point import LayerPoint, RowPoint
from skfairaug._engine._debiasing_task import Batch
from skfairaug._inputs._contexts import frozen
from skfairaug._inputs._encoder import Encoder, find_head, find_layer
from skfairaug._inputs._groups import column_indices
from skfairaug._inputs._parameters import check_idle
from skfairaug._inputs._rows import TensorRows
from skfairaug.steps.attack import NORMS, global_attack, partner_means
from skfairaug.steps.importance import counterfactual_gap, importance_weights
from skfairaug.steps.select import reward


class Attacker:
    """An augmenter's parameters at work on a task: attacks rows, weighs and batches them."""

    def __init__(self, augmenter, task, generator=None):
        check_combination(augmenter)
        self.task = task
        self.params = augmenter
        self.generator = task.generator if generator is None else generator
        self.encoder = Encoder(task.net, find_head(task.net, task.X))
        self.norms = check_norms(augmenter.norm)
        check_clip(augmenter.clip)
        self.point = attack_point(augmenter, task)
        self.clip = self.point.clip if augmenter.clip is None else augmenter.clip
        self.movable = None  # a layer's output is nowhere fixed
        if augmenter.input_layer is None:
            self.movable = movable_inputs(augmenter.perturb, task)
        self.probabilities = torch.full(
            (len(self.norms),), 1.0 / len(self.norms), device=task.X.device
        )
        self.targets = None

    def radius(self, norm):
        """Radius of a norm's ball, in units of what is attacked."""
        given, default = self.params.radius, self.point.radius[norm]
        if given is None:
            return default
        return given * (self.point.unit if len(self.norms) == 1 else default)

    def refresh(self):
        """Draw partners, and see where the current network puts them."""
        task, params = self.task, self.params
        rows = task.train
        groups, flip = task.groups[rows], params.flip_probability
        if flip is None:
            groups, flip = torch.zeros_like(groups), 0.0
        with frozen(task.net.module_):
            representations = self.encoder.all_rows(task.X.at(rows))
        means = partner_means(
            representations,
            task.y[rows],
            groups,
            n_partners=params.n_partners,
            flip_probability=flip,
            generator=self.generator,
        )
        self.targets = means.new_zeros(len(task.y), means.shape[1])
        self.targets[rows] = means

    def attack(self, X, rows, norm):
        """Adversarial counterparts of a batch of the task's `rows` under the current net."""
        params = self.params

        def encoder(values):
            with self.point.at(X, values) as inputs:
                return self.encoder(inputs)

        with frozen(self.task.net.module_):
            return global_attack(
                encoder,
                self.point.values(X),
                self.targets[rows],
                norm=norm,
                radius=self.radius(norm),
                step_size=params.step_size,
                n_steps=params.n_steps,
                direction=params.direction,
                movable=self.movable,
                clip=self.clip,
                generator=self.generator,
            )

    def teach(self, X_adv):
        """The fair rule's targets of all attacked rows of a table, which are rows themselves.

        None where the teacher is no function of such rows: a row then keeps its source's.
        """
        task = self.task
        if task.rule is None or not task.X.is_table or isinstance(self.point, LayerPoint):
            return None
        targets = torch.zeros_like(task.teacher)
        targets[task.train] = task.rule_targets(TensorRows(X_adv[task.train]))
        return targets

    def check_rows(self):
        """Raise where the rows cannot all be attacked at once."""
        if not self.task.X.in_memory:
            raise ValueError(
                "the rows of a Dataset are attacked as they come: give FairAugmentFineTuner an "
                "AdversarialAugmenter(joint=True), or pass the rows as an array."
            )

    def attack_all(self):
        """Counterparts of all training rows, each by one norm at random."""
        task, out = self.task, None
        self.check_rows()
        kinds = torch.randint(
            len(self.norms),
            (len(task.train),),
            generator=self.generator,
            device=task.X.device,
        )
        for kind, norm in enumerate(self.norms):
            for rows in task.train[kinds == kind].split(task.X.chunk_size):
                attacked = self.attack(task.X[rows], rows, norm)
                if out is None:
                    out = attacked.new_zeros(len(task.X), *attacked.shape[1:])
                out[rows] = attacked
        return out

    def weights(self, rows, X_adv=None):
        """Eq. 10 weights of the task's `rows`, perturbed where `X_adv` has all of them."""
        task = self.task
        log_probas, gaps = [], []
        parts = rows.split(task.X.chunk_size)
        with frozen(task.net.module_):
            for X, part in zip(task.X.batches(parts), parts, strict=True):
                values = self.point.values(X) if X_adv is None else X_adv[part]
                log_probas.append(self._predict_proba(X, values).log())
                gaps.append(self._gap(X, values))
        return self._importance(torch.cat(log_probas), torch.cat(gaps), rows)

    def _predict_proba(self, X, values):
        with self.point.at(X, values) as inputs:
            return self.task.predict_proba(inputs)

    def _gap(self, X, values):
        """Eq. 10's squared change of the prediction when a row changes group."""
        task = self.task
        if isinstance(self.point, LayerPoint):
            return values.new_zeros(len(values))
        return counterfactual_gap(
            task.predict_proba,
            values,
            task.columns,
            task.group_values,
            counterfactual=self.params.counterfactual,
        )

    def _importance(self, log_proba, gap, rows):
        return importance_weights(
            self.task.soft_bias(log_proba, rows),
            gap,
            tolerance=self.task.goal.tolerance,
            scale=self.params.weight_scale,
            gap_scale=self.params.gap_scale,
        )

    def batches(self, n_batches, batch_size, X_adv=None, targets=None):
        """An epoch of batches, real rows first and adversarial ones behind.

        `X_adv` holds the attacked rows of the sequential schedule. None attacks each
        batch under the current network (joint training), by a norm drawn by its
        probability. `targets` are the teacher's of the attacked rows; None gives a row
        those of its source.
        """
        task = self.task
        if X_adv is None:
            self.refresh()
        share, weights = 0.5, None
        if self.params.weighting == "sampling":
            with torch.no_grad():
                drawn = self.weights(task.train, X_adv)
            weights = drawn.new_zeros(len(task.y))
            weights[task.train] = drawn
            # A real row weighs 1 and an adversarial one w, so this is their share.
            share = float(drawn.mean() / (1 + drawn.mean()))
        n_real = max(task.n_classes * task.n_groups, round((1 - share) * batch_size))
        real = task.sampler.draw(n_batches, n_real)
        made = task.sampler.draw(n_batches, batch_size - n_real, weights)
        drawn = zip(task.X.batches(real), task.X.batches(made), real, made, strict=True)
        for X_real, X_made, rows, sources in drawn:
            values = self._joint(X_made, sources) if X_adv is None else X_adv[sources]
            X, context = self.point.join(X_real, X_made, values)
            importance = None
            if self.params.weighting in ("loss", "gradient"):
                importance = self._batch_importance(X_made, values, sources, len(rows))
            taught = targets
            if targets is not None:
                taught = torch.cat([task.teacher[rows], targets[sources]])
            everything = torch.cat([rows, sources])
            yield Batch(X, everything, len(rows), importance, context, taught)

    def _batch_importance(self, X, values, rows, n_real):
        """Eq. 10 on the adversarial part of a batch; real rows weigh 1."""
        keep = self.params.weighting == "gradient"

        def importance(log_proba):
            with torch.set_grad_enabled(keep):
                made = log_proba[n_real:] if keep else log_proba[n_real:].detach()
                weights = self._importance(made, self._gap(X, values), rows)
            return torch.cat([weights.new_ones(n_real), weights])

        return importance

    def _joint(self, X, rows):
        """Attack a batch by every type; return that of a drawn type, reward the worst."""
        task = self.task
        if len(self.norms) == 1:
            return self.attack(X, rows, self.norms[0])
        attacked = [self.attack(X, rows, norm) for norm in self.norms]
        with torch.no_grad(), frozen(task.net.module_):
            losses = [
                -self._predict_proba(X, values).log().gather(1, task.y[rows, None]).mean()
                for values in attacked
            ]
        drawn = draw_one(self.probabilities, self.generator)
        self.probabilities = reward(self.probabilities, torch.stack(losses).argmax())
        return torch.stack(attacked).index_select(0, drawn).squeeze(0)


def draw_one(probabilities, generator):
    """One position, of shape (1,), drawn by its probability.

    As `torch.multinomial` draws it, whose checks of its input wait for the device.
    """
    waiting = torch.empty_like(probabilities).exponential_(1.0, generator=generator)
    return (probabilities / waiting).argmax(keepdim=True)


def attack_point(augmenter, task):
    """Where the attack acts: the rows, or the output of the layer that is named."""
    if augmenter.input_layer is None:
        if not task.X.is_movable:
            raise ValueError(
                "X holds integers, or several arrays by name, which cannot be moved by a "
                "gradient: name the layer whose output is to be attacked, such as an "
                "embedding, with the augmenter's input_layer='...'."
            )
        return RowPoint(task.X)
    if augmenter.counterfactual is not None:
        raise ValueError(
            "counterfactual changes rows, and input_layer attacks a layer: not both."
        )
    layer = find_layer(task.net, augmenter.input_layer, what="input_layer")
    return LayerPoint(task.net, layer, next(iter(task.X.at(task.train).chunks())))


#: Parameters of the attack alone, which n_steps=0 switches off.
OF_THE_ATTACK = (
    "radius",
    "step_size",
    "direction",
    "n_partners",
    "flip_probability",
    "perturb",
)


def check_combination(augmenter):
    """Raise where a parameter of an augmenter is without effect beside another one."""
    if augmenter.n_steps == 0:
        check_idle(augmenter, OF_THE_ATTACK, "with n_steps=0, which attacks nothing.")
    if augmenter.input_layer is not None:
        check_idle(augmenter, ("perturb",), "with input_layer: all of its output moves.")


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
    table, named = task.X.is_table, not isinstance(perturb, str)
    if named and not table:
        raise ValueError(
            f"perturb={perturb!r} names columns of a table, and X is none: its rows move as a "
            "whole."
        )
    if not table or (not named and perturb == "all"):
        return None
    X = task.X.tensor
    if not named:
        low, high = X.amin(0), X.amax(0)
        binary = torch.ones(X.shape[1], dtype=torch.bool, device=X.device)
        for part in task.X.chunks():
            binary &= ((part == low) | (part == high)).all(0)
        movable = ~binary
        movable[task.columns] = False
        return movable
    movable = torch.zeros(X.shape[1], dtype=torch.bool, device=X.device)
    movable[column_indices(perturb, X, what="perturb")] = True
    return movable
