"""The name of a project's folder."""

import keyword
import re
import sys

# Names that MetaGPT uses for folders of its own in a project.
TAKEN_NAMES = frozenset({"docs", "resources", "tests", "test_outputs", "project"})
FILLER = frozenset(
    "a an and are build can create design develop for from i implement in is it like make me my of on or please simple "
    "small some tested that the to us using want we which with write you your".split()
)
WORD = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
NAME_WORDS = 4
NAME_CHARS = 40


def project_name(idea: str) -> str:
    """A folder name for what a task asks for, which is also a Python package's: "Write a 2048 game" -> "game_2048"."""
    words = WORD.findall(idea.lower())
    words = [word for word in words if word not in FILLER][:NAME_WORDS] or words[:NAME_WORDS]
    words.sort(key=lambda word: word[0].isdigit())
    name = "_".join(words).replace("-", "_")[:NAME_CHARS].strip("_")
    if not name or name[0].isdigit() or name in TAKEN_NAMES:
        return f"project_{name}".rstrip("_")
    if keyword.iskeyword(name) or name in sys.stdlib_module_names:
        return f"{name}_app"
    return name
