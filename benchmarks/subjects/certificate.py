"""A certificate that only this machine believes, for servers that are measured over TLS."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from benchmarks.places import BUILT

__all__ = ["certificate"]


def certificate() -> Path | None:
    """Give a file with a key and its certificate, made when it is missing; None: nothing here can make one."""
    pem = BUILT / "tls.pem"
    if pem.exists():
        return pem
    if shutil.which("openssl") is None:
        return None
    BUILT.mkdir(parents=True, exist_ok=True)
    key, made = BUILT / "tls.key", BUILT / "tls.crt"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "3650", "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(made)]
    subprocess.run(command, check=True, capture_output=True)
    pem.write_text(key.read_text() + made.read_text())
    return pem
