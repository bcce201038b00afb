"""A skip fails the suite, wherever it is asked for (conftest.py)."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SKIPS = {
    "mark": "@pytest.mark.skip(reason='because-why')\ndef test_it():\n    pass\n",
    "condition": "@pytest.mark.skipif(True, reason='because-why')\ndef test_it():\n    pass\n",
    "call": "def test_it():\n    pytest.skip('because-why')\n",
    "fixture": "@pytest.fixture\ndef thing():\n    pytest.skip('because-why')\n\ndef test_it(thing):\n    pass\n",
    "module": "pytest.skip('because-why', allow_module_level=True)\n",
    "import": "pytest.importorskip('no_such_module', reason='because-why')\n",
    "xfail": "@pytest.mark.xfail(reason='because-why')\ndef test_it():\n    assert False\n",
}


def test_every_kind_of_skip_fails_and_is_named_while_the_rest_passes(tmp_path: Path) -> None:
    shutil.copy(HERE / "conftest.py", tmp_path / "conftest.py")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_fine.py").write_text("def test_fine():\n    pass\n")
    for kind, source in SKIPS.items():
        (tmp_path / f"test_{kind}.py").write_text(f"import pytest\n{source}")
    command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    command += ["--continue-on-collection-errors", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    summary = done.stdout.rpartition("short test summary info")[2]
    failed = re.findall(r"^(?:FAILED|ERROR) \S*?test_([a-z]+)\.py", summary, re.MULTILINE)
    assert sorted(failed) == sorted(SKIPS), done.stdout
    assert re.findall(r"^PASSED .*", summary, re.MULTILINE) == ["PASSED test_fine.py::test_fine"], done.stdout
    assert done.stdout.count("skipping is not allowed here") >= len(SKIPS)
    assert done.stdout.count("because-why") >= len(SKIPS)
    assert done.returncode == 1, done.stdout
