"""Speed on images: every loop of the library against a bare PyTorch loop.

    python -m benchmarks.bench_images [--device cuda] [--width 64] [--batch-size 512]

The same network, precision, batches and optimizer on both sides, on random images of the
shape of CIFAR-10. Each figure is the median over repeats taken in turn, so that a change of
the machine's speed hits both sides; look at the ratios. Peak memory is the GPU's, or on a
CPU the process's.

What is compared:

- biased training: ``make_image_net(...).fit`` against batches, forward, backward, step;
- fine-tuning: `PlainFineTuning` against the same, with as many evaluations between;
- attack: one step of :func:`~skfairaug.steps.global_attack` against a forward pass to the
  representation and the gradient to the input;
- joint training: `AdversarialAugmenter(joint=True)` against the sum of its passes, each
  timed alone: the representations and weights at the start of an epoch, the attacks, the
  training steps and the evaluation.
"""

import argparse
import resource
import statistics
import time
import warnings

import torch

from skfairaug import AdversarialAugmenter, FairAugmentFineTuner
from skfairaug.modules import ResNet18, make_image_net, random_crop_flip, unit_pixels
from skfairaug.rivals import PlainFineTuning
from skfairaug.steps import global_attack

N_CLASSES = 10


class Bench:
    """A device, random images on it, and a network; times what it is given."""

    def __init__(self, args):
        self.args = args
        self.device = torch.device(args.device)
        generator = torch.Generator().manual_seed(0)
        shape = args.n_samples, 3, 32, 32
        self.X = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
        self.y = torch.arange(args.n_samples) % N_CLASSES
        self.group = torch.arange(args.n_samples) // N_CLASSES % 2
        self.net = make_image_net(
            args.n_samples,
            max_epochs=1,
            batch_size=args.batch_size,
            device=args.device,
            module__width=args.width,
            module__mixed_precision=args.mixed_precision,
        )
        self.X_device, self.y_device = self.X.to(self.device), self.y.to(self.device)

    def module(self):
        """A network as the estimators train it."""
        torch.manual_seed(0)
        module = ResNet18(width=self.args.width, mixed_precision=self.args.mixed_precision)
        return module.to(self.device)

    def rows(self, n):
        """Positions of a random batch, on the device."""
        return torch.randint(len(self.X), (n,), device=self.device)

    def seconds(self, function):
        """Seconds of a call, with all of the device's work."""
        self.wait()
        start = time.perf_counter()
        function()
        self.wait()
        return time.perf_counter() - start

    def wait(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def medians(self, **functions):
        """Median seconds of each call, taken in turn; a first round only warms up."""
        times = {name: [] for name in functions}
        for repeat in range(self.args.repeats + 1):
            for name, function in functions.items():
                taken = self.seconds(function)
                if repeat:
                    times[name].append(taken)
        return {name: statistics.median(values) for name, values in times.items()}

    def report(self, what, n_images, ours, bare):
        print(
            f"  {what:18s} {n_images / ours:9.0f} images/s   bare {n_images / bare:9.0f}"
            f"   ratio {ours / bare:5.2f}",
            flush=True,
        )


def bare_steps(bench, module, optimizer, n_steps, batch_size):
    """A bare loop: gather, forward, backward, step."""
    module.train()
    for _ in range(n_steps):
        rows = bench.rows(batch_size)
        X = bench.X_device[rows]
        loss = torch.nn.functional.cross_entropy(module(X), bench.y_device[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.no_grad()
def bare_evaluation(bench, module, n_rows, chunk=512):
    """A forward pass over the first rows."""
    module.eval()
    for part in bench.X_device[:n_rows].split(chunk):
        module(part)


def biased_training(bench):
    """Seconds of a pass over all images, skorch against bare."""
    args, module = bench.args, bench.module()
    optimizer = torch.optim.SGD(
        module.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    n_steps = args.n_samples // args.batch_size
    X, y = bench.X.numpy(), bench.y.numpy()
    times = bench.medians(
        ours=lambda: bench.net.fit(X, y),
        bare=lambda: bare_steps(bench, module, optimizer, n_steps, args.batch_size),
    )
    bench.report("biased training", n_steps * args.batch_size, times["ours"], times["bare"])


def fine_tuning(bench, net):
    """Seconds of fine-tuning, ours against bare with the same evaluations."""
    args = bench.args
    X, y, group = bench.X[:500].numpy(), bench.y[:500].numpy(), bench.group[:500].numpy()
    tuner = PlainFineTuning(
        net,
        tolerance=0.9,
        max_epochs=2,
        steps_per_epoch=args.steps,
        batch_size=args.batch_size // 20 * 20,
        validation_fraction=0.0,
        random_state=0,
    )
    module = bench.module()
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-4, fused=True)

    def bare():
        for _ in range(2):
            bare_steps(bench, module, optimizer, args.steps, tuner.batch_size)
            bare_evaluation(bench, module, 500)
        bare_evaluation(bench, module, 500)

    times = bench.medians(ours=lambda: tuner.fit(X, y, sensitive_features=group), bare=bare)
    bench.report("fine-tuning", 2 * args.steps * tuner.batch_size, times["ours"], times["bare"])


def representation(module, X):
    """The network up to its last layer, in its own precision."""
    with torch.autocast(X.device.type, torch.bfloat16, enabled=computes_in_bfloat16(module, X)):
        return module.blocks(module.stem(module.pixels(X))).mean((2, 3)).float()


def computes_in_bfloat16(module, X):
    if module.mixed_precision == "auto":
        return X.is_cuda and torch.cuda.is_bf16_supported()
    return module.mixed_precision


def attack_steps(bench):
    """Seconds of attack steps against bare forward and input-gradient passes."""
    n, n_steps = bench.args.batch_size, 7
    module = bench.module().eval().requires_grad_(False)
    X = unit_pixels(bench.X_device[:n])
    targets = torch.zeros_like(representation(module, X))

    def ours():
        global_attack(
            lambda X: representation(module, X),
            X,
            targets,
            radius=8 / 255,
            n_steps=n_steps,
            clip=(0.0, 1.0),
        )

    def bare():
        moved = X.clone()
        for _ in range(n_steps):
            moved.requires_grad_(True)
            distance = (representation(module, moved) - targets).square().sum()
            torch.autograd.grad(distance, moved)
            moved = moved.detach()

    times = bench.medians(ours=ours, bare=bare)
    bench.report("attack step", n * n_steps, times["ours"], times["bare"])


def joint_training(bench, net):
    """Seconds of joint training against the sum of its passes, each timed alone."""
    args, n_rows, n_attack_steps = bench.args, 500, 5
    X, y = bench.X[:n_rows].numpy(), bench.y[:n_rows].numpy()
    group = bench.group[:n_rows].numpy()
    size = args.batch_size // 40 * 40
    tuner = FairAugmentFineTuner(
        net,
        augmenter=AdversarialAugmenter(n_steps=n_attack_steps, weighting=None, joint=True),
        tolerance=0.9,
        max_epochs=1,
        steps_per_epoch=args.steps,
        batch_size=size,
        random_state=0,
    )
    module = bench.module()
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-4, fused=True)
    half = unit_pixels(bench.X_device[bench.rows(size // 2)])

    def attacks():
        module.eval().requires_grad_(False)
        for _ in range(args.steps * n_attack_steps):
            moved = half.detach().requires_grad_(True)
            torch.autograd.grad(representation(module, moved).square().sum(), moved)
        module.requires_grad_(True)

    times = bench.medians(
        ours=lambda: tuner.fit(X, y, sensitive_features=group),
        steps=lambda: bare_steps(bench, module, optimizer, args.steps, size),
        attacks=attacks,
        # Twice the network is judged, once its representations are taken.
        evaluations=lambda: [bare_evaluation(bench, module, n_rows) for _ in range(3)],
    )
    passes = times["steps"] + times["attacks"] + times["evaluations"]
    bench.report("joint training", args.steps * size, times["ours"], passes)


def crop_and_flip(bench):
    """Images a second that are cropped and flipped on the device."""
    X = bench.X_device[: bench.args.batch_size]
    times = bench.medians(one=lambda: [random_crop_flip(X, 4, True) for _ in range(20)])
    print(f"  crop and flip      {20 * len(X) / times['one']:9.0f} images/s")


def peak_memory(bench):
    """Peak memory in MiB, and whose it is."""
    if bench.device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20, torch.cuda.get_device_name()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "this process"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--width", type=int, default=64, help="of ResNet18")
    parser.add_argument("--batch-size", type=int, default=500)
    parser.add_argument("--n-samples", type=int, default=5000)
    parser.add_argument("--steps", type=int, default=10, help="batches of fine-tuning")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bfloat16", action="store_true", help="on a CPU too")
    args = parser.parse_args()
    args.mixed_precision = True if args.bfloat16 else "auto"
    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")
    bench = Bench(args)
    print(
        f"ResNet18 of width {args.width}, batches of {args.batch_size}, {args.device}, "
        f"{args.threads} thread(s), median of {args.repeats}"
    )
    crop_and_flip(bench)
    biased_training(bench)
    fine_tuning(bench, bench.net)
    attack_steps(bench)
    joint_training(bench, bench.net)
    memory, owner = peak_memory(bench)
    print(f"  peak memory        {memory:9.0f} MiB ({owner})")


if __name__ == "__main__":
    main()
