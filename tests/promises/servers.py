"""Real memcached, MariaDB and PostgreSQL, from the packages of Debian, on free ports of this machine.

Each runs in a folder of its own, is really killed, stopped (SIGSTOP), filled and restarted by the tests, and ended by
its process id. A missing package is an error that names it, never a skipped test.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.promises.real_server import RealServer, free_port, program, running

__all__ = ["Mariadb", "Memcached", "Postgres", "RealServer", "free_port", "running"]


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
        self.signal(signal.SIGSTOP)  # first, so that no more children come
        self._signal_children(signal.SIGSTOP)
        self.wait_stopped()

    def pids(self) -> list[int]:
        return [*super().pids(), *self._children()]

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
