"""Real memcached, MariaDB and PostgreSQL, from the packages of Debian, on free ports of this machine.

Each runs in a folder of its own, is really killed, stopped (SIGSTOP), filled and restarted by the tests, and ended by
its process id. A missing package is an error that names it, never a skipped test.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

__all__ = ["Mariadb", "Memcached", "Postgres", "RealServer", "free_port"]

START_TIMEOUT = 60.0


def free_port() -> int:
    """Give a port below 32768, where no outgoing connection can have it."""
    generator = random.SystemRandom()
    while True:
        port = generator.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def program(name: str, package: str, *folders: str) -> str:
    """Give the path of a program; raises LookupError that names its package."""
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *folders)))
    if found is None:
        raise LookupError(f"{name} is not here; apt-get install {package}")
    return found


class RealServer:
    """One server process, on one port for all its lives."""

    user: ClassVar[str | None] = None
    """Whom it runs as when this process is root; it may refuse to run as root."""

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.folder = folder
        self.durable = durable
        """Whether a commit waits for the disk; a kill of the process loses nothing either way."""
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        """Give the command that runs it in the foreground."""
        raise NotImplementedError

    def ready(self) -> bool:
        """Whether it answers."""
        raise NotImplementedError

    def _as_user(self) -> dict[str, Any]:
        if self.user is None or os.geteuid() != 0:
            return {}
        entry = pwd.getpwnam(self.user)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def own(self) -> None:
        """Give the folder to the user whom it runs as."""
        about = self._as_user()
        if about:
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, about["user"], about["group"])

    def run(self, *command: str, **options: Any) -> str:
        """Run a program of the server's user to its end; gives what it printed. Raises CalledProcessError."""
        return subprocess.run(
            command, check=True, capture_output=True, text=True, cwd=self.folder, **self._as_user(), **options
        ).stdout

    def start(self) -> None:
        """Start it and wait until it answers; raises RuntimeError with its log when it does not."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder, **self._as_user()
            )
        end = time.monotonic() + START_TIMEOUT
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise RuntimeError(f"{self.command()[0]} did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """Stop it as it is: its sockets stay open and nobody answers."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it in an orderly way."""
        self.thaw()
        self.signal(signal.SIGTERM)
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
            self.kill()


class Memcached(RealServer):
    """memcached with `megabytes` of memory."""

    def __init__(self, folder: Path, *, megabytes: int = 64, durable: bool = False) -> None:
        super().__init__(folder, durable=durable)
        self.megabytes = megabytes

    def command(self) -> Sequence[str]:
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        where = ["-l", "127.0.0.1", "-p", str(self.port), "-U", "0", "-m", str(self.megabytes)]
        return [program("memcached", "memcached"), *where, *user]

    def ready(self) -> bool:
        return self.ask("version").startswith("VERSION")

    def ask(self, line: str) -> str:
        """Send one line of its protocol; gives the answer, empty when there is none."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as link:
            link.sendall(line.encode() + b"\r\n")
            return link.recv(4096).decode()
        return ""

    @property
    def url(self) -> str:
        """The URL for `cache`."""
        return f"memcached://127.0.0.1:{self.port}"


class Mariadb(RealServer):
    """MariaDB with a database `game`."""

    user = "mysql"

    def prepare(self) -> None:
        """Make its data folder, once."""
        self.own()
        install = program("mariadb-install-db", "mariadb-server")
        skip = ["--skip-test-db", "--auth-root-authentication-method=normal"]
        user = [f"--user={self.user}"] if os.geteuid() == 0 else []
        self.run(install, "--no-defaults", f"--datadir={self.folder}/data", *skip, *user)

    def command(self) -> Sequence[str]:
        return [
            program("mariadbd", "mariadb-server", "/usr/sbin"),
            "--no-defaults",
            f"--datadir={self.folder}/data",
            f"--socket={self.folder}/socket",
            f"--pid-file={self.folder}/pid",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--skip-log-bin",
            "--innodb-buffer-pool-size=64M",
            "--innodb-lock-wait-timeout=2",
            "--max-allowed-packet=16M",
            f"--innodb-flush-log-at-trx-commit={1 if self.durable else 2}",
        ]

    def ready(self) -> bool:
        with contextlib.suppress(subprocess.CalledProcessError):
            self.sql("CREATE DATABASE IF NOT EXISTS game", database="")
            return True
        return False

    def sql(self, text: str, database: str = "game") -> str:
        """Run SQL as its root; gives what it printed."""
        client = program("mariadb", "mariadb-client")
        names = [database] if database else []
        return self.run(client, "--no-defaults", f"--socket={self.folder}/socket", "-uroot", "-NBe", text, *names)

    def fresh(self, name: str) -> str:
        """Make a new database; gives its URL."""
        self.sql(f"DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name}", database="")
        return f"mysql://root@127.0.0.1:{self.port}/{name}"


class Postgres(RealServer):
    """PostgreSQL, whose superuser is `game`."""

    user = "postgres"

    @staticmethod
    def _folder() -> str:
        versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
        return str(versions[-1]) if versions else ""

    def prepare(self) -> None:
        """Make its data folder, once."""
        self.own()
        how = ["-U", "game", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C.UTF-8"]
        self.run(program("initdb", "postgresql", self._folder()), "-D", f"{self.folder}/data", *how)

    def command(self) -> Sequence[str]:
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "shared_buffers": "64MB",
            "max_connections": "40",
            "fsync": "on" if self.durable else "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [program("postgres", "postgresql", self._folder()), "-D", f"{self.folder}/data", *options]

    def ready(self) -> bool:
        with contextlib.suppress(subprocess.CalledProcessError):
            self.sql("SELECT 1", database="postgres")
            return True
        return False

    def sql(self, text: str, database: str = "game") -> str:
        """Run SQL as its superuser; gives what it printed."""
        psql = program("psql", "postgresql-client")
        how = ["-h", str(self.folder), "-p", str(self.port), "-U", "game", "-d", database]
        return self.run(psql, "-X", *how, "-v", "ON_ERROR_STOP=1", "-qAtc", text)

    def fresh(self, name: str) -> str:
        """Make a new database; gives its URL."""
        self.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", database="postgres")
        self.sql(f"CREATE DATABASE {name}", database="postgres")
        return f"postgresql://game@127.0.0.1:{self.port}/{name}"

    def kill(self) -> None:
        """Kill all of it: its children may outlive the first process and hold the data folder."""
        children = self._children()
        super().kill()
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def freeze(self) -> None:
        """Stop its children too: each connection is a process."""
        super().freeze()
        self._signal_children(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_children(signal.SIGCONT)
        super().thaw()

    def _signal_children(self, number: signal.Signals) -> None:
        for pid in self._children():
            with contextlib.suppress(ProcessLookupError):  # it may be leaving just now
                os.kill(pid, number)

    def _children(self) -> list[int]:
        if self.process is None:
            return []
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
            return [int(pid) for pid in text.split()]
        return []
