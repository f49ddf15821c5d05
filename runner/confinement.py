"""How a run is held in: what its process may do, and what the programs that it starts may do, which a model wrote.

                     the run's process, which holds the key     programs: tests, git, pip
    writes           its workspace                              its workspace
    changes modes,   its workspace                              its workspace
    owners, times
    reads            its workspace, the system, Python          the same
    looks into       itself and its programs                    themselves
    signals          itself and its programs                    themselves
    network          to reach the model                         none, unless it was allowed

The kernel does it where it can; `weaknesses` says where it cannot. Git is held like a generated program because such a
program may write into .git what git then runs.
"""

import ctypes
import functools
import os
import resource
import shutil
import ssl
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from runner import landlock, mounts, seccomp
from runner.attempt import Confinement

_PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 4, 24, 38  # linux/prctl.h
_CAPABILITIES = 64  # more than there are

# Folders in which nothing is found but what is installed for everybody.
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/proc", "/sys")
# Of /etc, where services keep their secrets, only what programs of any kind ask for; of its certificates no keys.
_ETC = (
    "alternatives ca-certificates crypto-policies debian_version fonts gai.conf gitconfig group host.conf "
    "hosts inputrc ld.so.cache ld.so.conf ld.so.conf.d ld.so.preload locale.alias localtime mime.types "
    "networks nsswitch.conf os-release passwd pki/ca-trust pki/tls/cert.pem pki/tls/certs pki/tls/openssl.cnf "
    "protocols resolv.conf services ssl/cert.pem ssl/certs ssl/openssl.cnf terminfo timezone"
).split()
# What only pip asks for, which is of no use without a network: these may hold the password of its index.
_ETC_OF_PIP = ("pip.conf", "xdg/pip")
_DEVICES = ("/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
# Variables that name files; those of the second kind only pip needs.
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
_OF_PIP = ("PIP_CERT", "PIP_CLIENT_CERT", "PIP_CONFIG_FILE", "PIP_CONSTRAINT", "PIP_FIND_LINKS")


class Cell:
    """Holds a run in. workspace: the folder that it may write in, the only one. Raises `OSError`."""

    def __init__(self, workspace: Path, confinement: Confinement) -> None:
        self.allow_network = confinement.allow_network
        self._workspace = workspace
        self._prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None
        self._run: landlock.Ruleset | None = None
        self._program: landlock.Ruleset | None = None
        self._calls: seccomp.CallFilter | None = None
        if landlock.abi():
            readable = list(_readable(confinement))
            self._run = _ruleset(workspace, readable, tcp=True)
            self._program = _ruleset(workspace, readable, tcp=confinement.allow_network)
        if seccomp.available():
            self._calls = seccomp.CallFilter(allow_network=confinement.allow_network)

    def enter(self) -> None:
        """Hold in this process, which must have no other threads yet, and all that it starts from now on."""
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the key is in its memory
        if has_mounts():
            mounts.enter(self._workspace)
        if self._prctl is not None:
            self._prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
            for capability in range(_CAPABILITIES):  # what root is more than its programs need to be
                self._prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
            self._prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if self._run is not None:
            self._run.enter()

    def enter_program(self) -> None:
        """Hold in a process that is about to become a program: between fork and exec."""
        if self._prctl is not None:
            self._prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if self._program is not None:
            self._program.enter()
        if self._calls is not None:
            self._calls.enter()


def prepare() -> None:
    """Find out what takes milliseconds: before the forks that need it."""
    has_mounts()
    for allow_network in (False, True):
        _needed(allow_network)


@functools.cache
def has_mounts() -> bool:
    """Whether this system gives a process of this user mounts of its own; another process tries it out, once."""
    if sys.platform != "linux":
        return False
    # A folder that can be written in, as a run's: what is on a read-only mount stays so for who is not root.
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-I", "-S", mounts.__file__, os.path.realpath(folder)]
        return subprocess.run(command, capture_output=True, text=True).stdout == mounts.ENTERED


def weaknesses(confinement: Confinement) -> list[str]:
    """What of the above this system cannot do, a sentence each."""
    version, found = landlock.abi(), []
    if not version:
        found.append(
            "The programs that a run starts can read and write what you can, the LLM's key included: to stop that "
            "needs Linux 5.13, with Landlock."
        )
    elif version < landlock.TRUNCATE_ABI:
        found.append("The programs that a run starts can empty files of yours: to stop that needs Linux 6.2.")
    if version < landlock.SCOPE_ABI:
        found.append("The programs that a run starts can end other programs of yours: to stop that needs Linux 6.12.")
    if not has_mounts():
        found.append(
            "The programs that a run starts can change the mode, the owner and the times of your files: to stop that "
            "needs Linux 5.12, and namespaces that this user may make."
        )
    if not seccomp.available():
        needed = "to stop that needs seccomp, of Linux on x86-64, arm64 or riscv64."
        found.append(
            "The programs that a run starts can take memory that is not counted, use what the system keeps for other "
            f"programs of yours, change the limits of those, and multiply faster than they are ended: {needed}"
        )
        if not confinement.allow_network:
            found.append(f"The programs that a run starts have the network, though it is not allowed: {needed}")
    return found


def _ruleset(workspace: Path, readable: Iterable[Path], *, tcp: bool) -> landlock.Ruleset:
    ruleset = landlock.Ruleset(tcp=tcp)
    ruleset.allow(landlock.READ, readable)
    ruleset.allow(landlock.READ | landlock.WRITE, [workspace, Path(os.devnull)])
    return ruleset


def _readable(confinement: Confinement) -> Iterator[Path]:
    """What programs need to run at all, without what is hidden."""
    hidden = Path(os.path.realpath(confinement.hidden))
    for path in _needed(confinement.allow_network):
        yield from _without(path, hidden)


@functools.cache
def _needed(allow_network: bool) -> tuple[Path, ...]:
    """Folders and files that programs need to run at all, nobody's own data; without links in their paths."""
    return tuple(dict.fromkeys(Path(os.path.realpath(path)) for path in _installed(allow_network)))


def _installed(allow_network: bool) -> Iterator[str | Path]:
    yield from (*_SYSTEM, *_DEVICES)
    yield from (f"/etc/{name}" for name in (*_ETC, *(_ETC_OF_PIP if allow_network else ())))
    yield from _python()
    if git := shutil.which("git"):
        yield git
        yield from (Path(os.path.realpath(git)).parent.parent / name for name in ("lib", "libexec", "share/git-core"))
    named = (*_CERTIFICATES, *_OF_PIP) if allow_network else _CERTIFICATES
    yield from (os.environ[name] for name in named if os.environ.get(name))


def _python() -> Iterator[str | Path]:
    """Where the interpreter, its packages and this one are."""
    yield from (Path(os.path.realpath(sys.executable)).parent, Path(sys.base_prefix, "lib"))
    yield from (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib", "scripts"))
    yield from (entry for entry in sys.path if entry.endswith("-packages"))
    if sys.prefix != sys.base_prefix:
        yield sys.prefix
    yield Path(__file__).parent
    certificates = ssl.get_default_verify_paths()
    yield from (certificates.openssl_cafile, certificates.openssl_capath)


def _without(root: Path, hidden: Path) -> Iterator[Path]:
    """`root`, or if `hidden` lies in it all that is beside the way to there."""
    if root == hidden:
        return
    if not hidden.is_relative_to(root):
        yield root
        return
    for child in root.iterdir():
        if not child.is_symlink():  # it may lead anywhere
            yield from _without(child, hidden)
