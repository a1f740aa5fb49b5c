"""One fit at a time in a process: threads, random states, warnings, Ctrl-C."""

import signal
import threading
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

from skfairaug._inputs._contexts import isolated_random_state

#: Threads, random states and warnings belong to the process: one job in it at a time.
_lock = threading.RLock()


@contextmanager
def alone(seed):
    """One thread, random states of our own, and an end at Ctrl-C."""
    with _lock, one_thread(), isolated_random_state(seed), _raising_interrupts():
        yield


@contextmanager
def one_thread():
    """One thread for torch, BLAS and OpenMP in the block; as many as before after it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _raising_interrupts():
    """Raise KeyboardInterrupt again after the block, where an estimator made do with it.

    Networks keep the best of an interrupted training by design, and no attribute of theirs
    says that it was cut short.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield  # it is not raised here
        return
    interrupts = []

    def note(*signalled):
        try:
            handler(*signalled)
        except KeyboardInterrupt as interrupt:
            interrupts.append(interrupt)
            raise

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if interrupts:
        raise KeyboardInterrupt
