"""Which boot of the machine this is: what is not on the disk is lost from one to the next, and never within one."""

import subprocess
import sys
from pathlib import Path

_LINUX = Path("/proc/sys/kernel/random/boot_id")
_MACOS = ("/usr/sbin/sysctl", "-n", "kern.bootsessionuuid")


def boot_id() -> str | None:
    """A name that no other boot has; None if the system tells none."""
    try:
        if sys.platform == "darwin":
            return subprocess.run(_MACOS, capture_output=True, text=True, check=True).stdout.strip() or None
        return _LINUX.read_text().strip() or None
    except (OSError, subprocess.CalledProcessError):
        return None
