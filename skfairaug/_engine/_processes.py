"""Fine-tuning on several processes at once: every step is one step, its rows are shared.

Every process runs the same program on the same rows.  In a training step each one runs its
share of the batch through its copy of the network, and all of them receive all outputs.  So
each computes the loss of the whole batch, which is more than a mean over rows (weights
are normalised, and the bias term compares groups), and the result is that of one process.

The module is not wrapped: its layers keep their names, hooks and state, on which steps 1
and 2 rely.
"""

from contextlib import contextmanager

import torch
from torch import distributed

from skfairaug._inputs._accelerator import accelerator_of
from skfairaug._inputs._contexts import overriding
from skfairaug._inputs._rows import n_rows, rows_of_batch

#: Ways of accelerate that split the network itself, or do not run on torch.distributed.
UNSUPPORTED = ("DEEPSPEED", "FSDP", "MEGATRON_LM", "XLA")


def n_processes(net):
    """How many processes train a net together: those of its accelerator."""
    accelerator = accelerator_of(net)
    if accelerator is None or accelerator.num_processes == 1:
        return 1
    kind = getattr(accelerator.distributed_type, "value", accelerator.distributed_type)
    if kind in UNSUPPORTED or not distributed.is_initialized():
        raise ValueError(
            f"the accelerator's distributed type {kind} is not supported: every process must "
            "hold the whole network, as with several CPUs or GPUs and no sharding."
        )
    return accelerator.num_processes


def agreed_seed(net, seed):
    """The main process's seed, in every process."""
    if n_processes(net) == 1:
        return seed
    seed = torch.tensor([seed], device=accelerator_of(net).device)
    distributed.broadcast(seed, 0)
    return int(seed)


def scaled(net, optimizer):
    """The optimizer as float16 needs it, which scales losses lest gradients vanish."""
    accelerator = accelerator_of(net)
    if getattr(accelerator, "gradient_accumulation_steps", 1) > 1:
        raise ValueError(
            "gradient_accumulation_steps of the accelerator must be 1, since every batch of "
            "fine-tuning is a step: choose the batch_size instead."
        )
    scaler = getattr(accelerator, "scaler", None)
    if scaler is None:
        return optimizer
    from accelerate.optimizer import AcceleratedOptimizer

    return AcceleratedOptimizer(optimizer, device_placement=False, scaler=scaler)


@contextmanager
def shared_steps(task):
    """Share the rows of every step of a task's net among the processes of its accelerator.

    Nothing changes for a net that one process trains.

    Parameters
    ----------
    task : DebiasingTask
        Its loss is a function of the net's outputs for the rows of a batch; what else it
        reads of a forward pass would be of a share of the rows.
    """
    net = task.net
    size = n_processes(net)
    if size == 1:
        yield
        return
    check_same_rows(task)
    broadcast(net.module_)
    train, validate, infer = net.train_step_single, net.validation_step, net.infer

    def shared_infer(X, **params):
        return infer_shares(infer, X, size, **params)

    def train_step_single(batch, **params):
        with overriding(net, infer=shared_infer):
            step = train(batch, **params)
        average_gradients(net.module_, size)
        return step

    def validation_step(batch, **params):
        with overriding(net, infer=shared_infer):
            return validate(batch, **params)

    with overriding(net, train_step_single=train_step_single, validation_step=validation_step):
        yield


def infer_shares(infer, X, size, **params):
    """Outputs for all rows of a batch, each process having run its share of them."""
    n, rank = n_rows(X), distributed.get_rank()
    if n < size:
        return infer(X, **params)
    share = slice(n * rank // size, n * (rank + 1) // size)
    output = infer(rows_of_batch(X, share), **params)
    if isinstance(output, tuple):
        return tuple(gather(part, share, n, size) for part in output)
    return gather(output, share, n, size)


def gather(own, share, n, size):
    """Put the shares of all processes together, the own one with its gradient.

    A process's gradient is that of its own rows, times the number of processes: their mean,
    which `average_gradients` takes, is then the gradient of all rows. What the loss reads
    of the weights without shares comes out right as well, every process having it whole.
    """
    whole = own.new_zeros((n, *own.shape[1:]))
    whole[share] = own.detach()
    distributed.all_reduce(whole)
    if not own.requires_grad:
        return whole
    own = own.view_as(own)
    own.register_hook(lambda gradient: gradient * size)
    return torch.cat([whole[: share.start], own, whole[share.stop :]])


@torch.no_grad()
def average_gradients(module, size):
    """Give every process the mean of the gradients, and of BatchNorm's new statistics."""
    tensors = []
    for parameter in module.parameters():
        if parameter.requires_grad:
            if parameter.grad is None:
                # The rows of another process may have reached it.
                parameter.grad = torch.zeros_like(parameter)
            tensors.append(parameter.grad)
    if module.training:
        tensors += [buffer for buffer in module.buffers() if buffer.is_floating_point()]
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    distributed.all_reduce(flat)
    parts = (flat / size).split([tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view(tensor.shape))


@torch.no_grad()
def broadcast(module):
    """Give every process the main one's weights: kernels may round differently on each."""
    for tensor in [*module.parameters(), *module.buffers()]:
        values = tensor.flatten().view(torch.uint8)  # not every type can be sent
        distributed.broadcast(values, 0)
        tensor.copy_(values.view(tensor.dtype).view(tensor.shape))


def check_same_rows(task):
    """Raise where the processes were given different validation rows."""
    place = torch.arange(1, len(task.y) + 1, device=task.y.device)
    marks = [place.sum(), (place * task.y).sum(), (place * task.groups).sum()]
    if task.X.tensor is not None:
        marks.append(task.X.tensor.sum(dtype=torch.float64))
    marks = torch.stack([mark.double() for mark in marks])
    least, most = marks.clone(), marks.clone()
    distributed.all_reduce(least, distributed.ReduceOp.MIN)
    distributed.all_reduce(most, distributed.ReduceOp.MAX)
    if not torch.equal(least, most):
        raise ValueError(
            "the processes were given different rows: every one must call fit with the same "
            "X, y and sensitive_features. Seed what splits and shuffles them."
        )
