"""Packages that do nothing but re-export what their modules define: each name is imported when it is asked for.

openai's type packages are some 400 modules, of which a chat completion needs some 60. Importing them all was a third of
what a server takes until its runs are at work again after a crash.
"""

import ast
import importlib
from collections.abc import Sequence
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

import msgspec

PACKAGES = frozenset(
    {
        "openai.types",
        "openai.types.beta",
        "openai.types.chat",
        "openai.types.graders",
        "openai.types.responses",
        "openai.types.shared",
        "openai.types.shared_params",
    }
)


class Home(msgspec.Struct, frozen=True):
    """Where a name comes from: `name` of a module of the package; without a module it is one itself."""

    module: str | None
    name: str


def homes(source: str) -> dict[str, Home] | None:
    """What a package re-exports, by the name that it has there; None if its source does anything else."""
    found: dict[str, Home] = {}
    for statement in ast.parse(source).body:
        if not isinstance(statement, ast.ImportFrom):
            return None
        if statement.module == "__future__":
            continue
        if statement.level != 1 or any(alias.name == "*" for alias in statement.names):
            return None
        found |= {alias.asname or alias.name: Home(statement.module, alias.name) for alias in statement.names}
    return found


class ReexportFinder(MetaPathFinder):
    """To be the first of the finders."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in PACKAGES:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, InspectLoader):
            spec.loader = _ReexportLoader(spec.loader)
        return spec


class _ReexportLoader(InspectLoader):
    def __init__(self, real: InspectLoader) -> None:
        self._real = real

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._real.create_module(spec)

    def get_source(self, fullname: str) -> str | None:
        return self._real.get_source(fullname)

    def exec_module(self, module: ModuleType) -> None:
        reexported = homes(self.get_source(module.__name__) or "")
        if reexported is None:
            self._real.exec_module(module)
        else:
            module.__dict__["__getattr__"] = _importer(module, reexported)


def _importer(package: ModuleType, reexported: dict[str, Home]) -> Any:
    """The `__getattr__` of a package (PEP 562)."""

    def importing_getattr(name: str) -> Any:
        home = reexported.get(name)
        if home is None:
            raise AttributeError(f"module {package.__name__!r} has no attribute {name!r}")
        if home.module is None:
            return importlib.import_module(f"{package.__name__}.{home.name}")
        value = getattr(importlib.import_module(f"{package.__name__}.{home.module}"), home.name)
        package.__dict__[name] = value
        return value

    return importing_getattr
