import subprocess
import sys


def test_data_of_the_types_alone_prints():
    """The report room is loaded by the first ``print``."""
    code = (
        "from ghostify.types import Sites; import sys\n"
        "assert 'ghostify.report' not in sys.modules\n"
        "print(Sites())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Convolutions: 0" in done.stdout
