"""Makes `import metagpt` work with the few packages a team really needs, and does it once, before any child is forked.

MetaGPT imports far more than it uses: every provider's SDK, pandas, gymnasium, a browser. What is not installed is
replaced by a stand-in that says so when it is used; what is installed is used. MetaGPT is kept away from the user's
`~/.metagpt`, from `os.environ` and from the working directory, all of which it reads at import.
"""

import importlib
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from runner.metagpt.reexports import ReexportFinder

# Modules of MetaGPT whose own imports fail without packages that a team of our five roles does not need.
OPTIONAL = frozenset(
    {
        "metagpt.actions.di.execute_nb_code",
        "metagpt.tools.libs",
        "metagpt.utils.ahttp_client",
        "metagpt.utils.sanitize",
        "metagpt.provider.anthropic_api",
        "metagpt.provider.ark_api",
        "metagpt.provider.bedrock_api",
        "metagpt.provider.dashscope_api",
        "metagpt.provider.google_gemini_api",
        "metagpt.provider.ollama_api",
        "metagpt.provider.qianfan_api",
        "metagpt.provider.spark_api",
        "metagpt.provider.zhipuai_api",
    }
)

# Packages that MetaGPT's core imports at its top, and then does not use for our roles.
THIRD_PARTY = frozenset({"anthropic", "bs4", "docx", "numpy", "pandas", "PIL", "tree_sitter", "tree_sitter_python"})

# Code that is not ours warns about its own use of pydantic and friends: nothing a person could act on.
NOISY = r"(metagpt|pydantic|openai|tenacity|git|gitignore_parser|tiktoken|loguru)(\.|$)"

T = TypeVar("T")


def load(scratch: Path) -> None:
    """Import MetaGPT whole. Its log and workspace folders, made at import, land in `scratch`."""
    scratch.mkdir(parents=True, exist_ok=True)
    sys.meta_path[:0] = [_OptionalFinder(), ReexportFinder()]
    sys.meta_path.append(_AbsentFinder())
    if PathFinder.find_spec("gymnasium") is None:
        _stand_in_for_gymnasium()
    os.environ["METAGPT_PROJECT_ROOT"] = str(scratch)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _import_config()
            _import_team()
    finally:
        del os.environ["METAGPT_PROJECT_ROOT"]
    warnings.filterwarnings("ignore", module=NOISY)


def _import_config() -> None:
    """config2 builds a global Config at import, from files and from os.environ: feed it neither."""
    from loguru import logger

    logger.remove()
    yaml_model = importlib.import_module("metagpt.utils.yaml_model").YamlModel
    yaml_model.read_yaml = classmethod(_read_yaml)
    # Only the lower-case names of os.environ can be fields of Config.
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name != name.upper()}
    try:
        importlib.import_module("metagpt.config2")
    finally:
        os.environ.update(hidden)


def _read_yaml(cls: Any, file_path: Path, encoding: str = "utf-8") -> dict[str, Any]:
    """In place of reading ~/.metagpt: the least that Config accepts. A run brings its own."""
    return {"llm": {"api_key": "not-set", "model": "not-set"}} if Path(file_path).name == "config2.yaml" else {}


def _import_team() -> None:
    from loguru import logger

    # metagpt.roles has to come before metagpt.team: the other order fails on pydantic >= 2.10.
    for name in (
        "metagpt.roles",
        "metagpt.roles.product_manager",
        "metagpt.roles.architect",
        "metagpt.roles.project_manager",
        "metagpt.roles.engineer",
        "metagpt.roles.qa_engineer",
        "metagpt.actions.prepare_documents",
        "metagpt.actions.summarize_code",
        "metagpt.actions.fix_bug",
        "metagpt.team",
        "metagpt.environment",
        "openai.resources.chat.completions",  # openai imports it at the first call, which would cost every child
    ):
        importlib.import_module(name)
    logger.remove()  # MetaGPT's own: stderr, and a file that all children would share


class _Absent(type):
    """The class of what is not installed: attributes lead to more of it, calling says what is missing."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _absent(f"{cls.__module__}.{cls.__name__}", name)

    def __getitem__(cls, item: Any) -> Any:
        return cls  # as in the annotation NDArray[int]

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise ImportError(f"{cls.__module__}.{cls.__name__} needs a package that is not installed")


def _absent(module: str, name: str) -> Any:
    return _Absent(name, (), {"__module__": module})


def _hollow(module: ModuleType) -> None:
    """Make every name of `module` exist, as absent."""

    def getattr_absent(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _absent(module.__name__, name)

    module.__dict__["__getattr__"] = getattr_absent


class _AbsentFinder(MetaPathFinder, Loader):
    """Last of the finders: hollow modules for third-party packages that nobody else found."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in THIRD_PARTY:
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def exec_module(self, module: ModuleType) -> None:
        _hollow(module)


class _OptionalFinder(MetaPathFinder):
    """First of the finders: the optional modules of MetaGPT, through a loader that tolerates their missing imports."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in OPTIONAL:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _TolerantLoader(spec.loader)
        return spec


class _TolerantLoader(Loader):
    def __init__(self, real: Loader) -> None:
        self.real = real

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.real.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        try:
            self.real.exec_module(module)
        except ImportError:
            _hollow(module)


def _stand_in_for_gymnasium() -> None:
    """The few names that MetaGPT's environment takes from gymnasium, for type annotations only."""

    class Space(Generic[T]):
        pass

    names: Mapping[str, Any] = {name: type(name, (Space,), {}) for name in ("Box", "Dict", "Discrete", "Text", "Tuple")}
    spaces = _module("gymnasium.spaces", Space=Space, **names)
    core = _module("gymnasium.core", ActType=TypeVar("ActType"), ObsType=TypeVar("ObsType"))
    _module("gymnasium", spaces=spaces, core=core)


def _module(name: str, **attributes: Any) -> ModuleType:
    module = ModuleType(name)
    module.__dict__.update(attributes)
    sys.modules[name] = module
    return module
