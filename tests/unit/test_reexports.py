import subprocess
import sys
from pathlib import Path

import pytest

from runner.metagpt.reexports import Home, homes

# Says which modules of openai are there after the import of MetaGPT, and again when names of it were asked for.
PROGRAM = """
import pathlib, sys
from runner.metagpt import preload
preload.load(pathlib.Path(sys.argv[1]))
print("openai.types.beta.assistant" in sys.modules)
import openai
from openai.types.beta import Assistant
print(Assistant.__module__, openai.types.Batch.__module__, openai.types.chat.__name__)
print(openai.types.beta.Assistant is Assistant, hasattr(openai.types, "nonsense"))
"""


def test_what_a_package_re_exports_is_imported_when_it_is_asked_for(tmp_path: Path) -> None:
    """After MetaGPT's import openai's types are whole for who uses them, but those that nobody does are not there."""
    told = subprocess.run([sys.executable, "-c", PROGRAM, tmp_path / "scratch"], capture_output=True, text=True)
    assert told.stdout.splitlines() == [
        "False",
        "openai.types.beta.assistant openai.types.batch openai.types.chat",
        "True False",
    ], told.stderr


def test_names_are_found_under_what_they_are_re_exported_as() -> None:
    """A name, one that is renamed and a module are found; what comes from `__future__` is none of them."""
    source = "from __future__ import annotations\nfrom . import chat as chat\nfrom .batch import Batch as B, Error"
    assert homes(source) == {
        "chat": Home(None, "chat"),
        "B": Home("batch", "Batch"),
        "Error": Home("batch", "Error"),
    }


@pytest.mark.parametrize("statement", ["x = 1", "from .batch import *", "from ..other import X", "import os"])
def test_a_package_that_does_anything_else_is_left_alone(statement: str) -> None:
    """Only a package without a statement that is not a re-export of its own modules can be imported late."""
    assert homes(f"from .batch import Batch\n{statement}") is None
