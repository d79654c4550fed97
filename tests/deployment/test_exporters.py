"""Sessions of the exporters."""

import subprocess
import sys

import pytest

pytest.importorskip("openvino")

SESSIONS_THEN_A_SIGNAL = """
import signal, sys
import torch, ghostify
from ghostify.deployment import EXPORTERS

ghostify.export(torch.nn.Conv2d(3, 4, 1), torch.ones(1, 3, 2, 2), sys.argv[1])
first, second = (EXPORTERS["openvino"].open(sys.argv[1], 1) for _ in range(2))
del first
del second
signal.signal(signal.SIGINT, lambda *_: print("heard"))
signal.raise_signal(signal.SIGINT)
"""


def test_signals_are_heard_when_sessions_have_gone(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SESSIONS_THEN_A_SIGNAL, str(tmp_path / "net.xml")],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr
