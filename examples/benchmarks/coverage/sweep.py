"""Examine networks, each in its own process, so that a crash affects only one."""

from __future__ import annotations

import multiprocessing as mp
import resource
import signal
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

import torch
from examine import Finding, examine
from networks import networks

PRELOADED = ["torchvision", "timm", "ghostify.artifact.artifact", "sweep"]
PATIENCE = 10
"""How much longer than its processor time a network may take on a busy machine."""


def _work(index: int, connection: Connection, seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    network = networks()[index]
    try:
        finding = examine(network)
    except Exception as error:
        finding = Finding(network.name, faults=[f"{type(error).__name__}: {error}"[:300]])
    connection.send(finding)


def sweep(pattern: str, workers: int, seconds: int) -> Iterator[Finding]:
    """Yield the findings in the order of the list.

    Args:
        pattern: only networks whose names contain this.
        workers: number of parallel processes.
        seconds: CPU time limit for each network.
    """
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)

    def one(index: int, name: str) -> Finding:
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(index, sender, seconds))
        process.start()
        sender.close()
        try:
            if not receiver.poll(seconds * PATIENCE):
                return Finding(name, faults=[f"hangs for {seconds * PATIENCE} s"])
            return receiver.recv()
        except EOFError:
            process.join()
            if process.exitcode == -signal.SIGXCPU:
                return Finding(name, faults=[f"more than {seconds} s of processor time"])
            return Finding(name, faults=[f"the process died ({process.exitcode})"])
        finally:
            process.kill()

    chosen = [(i, n.name) for i, n in enumerate(networks()) if pattern in n.name]
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(lambda pair: one(*pair), chosen)
