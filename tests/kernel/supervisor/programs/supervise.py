"""Runs a Supervisor over fake servers: supervise.py FOLDER, where plan.json, times.json and behaviour.json are."""

import json
import sys
from pathlib import Path

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.supervisor.backoff import Restarts
from firefly_core.kernel.supervisor.log import Log
from firefly_core.kernel.supervisor.log_writer import LogWriter
from firefly_core.kernel.supervisor.shutdown import Patience
from firefly_core.kernel.supervisor.supervisor import Commands, Supervisor

folder = Path(sys.argv[1])
programs = Path(__file__).parent
times = json.loads((folder / "times.json").read_text())
writer = LogWriter(2)
commands = Commands(
    plan=[sys.executable, "-S", str(programs / "plan.py"), str(folder)],
    server=lambda name: [sys.executable, "-S", str(programs / "server.py"), str(folder), name],
)
supervisor = Supervisor(
    commands,
    Log(writer),
    restarts=Restarts(**times.get("restarts", {})),
    patience=Patience(**times.get("patience", {})),
    slow=times.get("slow", 10.0),
)
try:
    status = supervisor.run()
except ConfigurationError as error:
    print(error, file=sys.stderr)
    status = 78
writer.close()
sys.exit(status)
