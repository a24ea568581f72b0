"""Keep the services running, with supervisor as the library that starts, restarts and stops them."""

import os
import pwd
import shlex
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from supervisor import events
from supervisor.medusa import asyncore_25 as asyncore
from supervisor.options import ServerOptions
from supervisor.states import SupervisorStates
from supervisor.supervisord import Supervisor

from operations.local.output import Screen
from operations.local.services import Service
from product_classifier.observability import get_logger

SUPERVISOR = """\
[supervisord]
nodaemon = true
silent = true
logfile = %(ENV_state)s/logs/supervisord.log
childlogdir = %(ENV_state)s/logs
pidfile = %(ENV_state)s/supervisord.pid
identifier = product-classifier
"""

BEHIND = """
[group:behind]
programs = <names>
priority = 1
"""

PROGRAM = """
[program:<name>]
command = filled in later
autorestart = true
startsecs = 2
startretries = 4
stopwaitsecs = 25
killasgroup = true
redirect_stderr = true
stdout_logfile = NONE
stdout_logfile_maxbytes = 10MB
stdout_logfile_backups = 2
stdout_events_enabled = true
"""

log = get_logger()


class Supervision:
    """The running services; the last one is the gateway: it is stopped first, the others then stop together."""

    def __init__(self, services: Iterable[Service], state_dir: Path, screen: Screen) -> None:
        self._options = _options(tuple(services), state_dir)
        self._screen = screen
        self.given_up: str | None = None
        """The first service that died again and again."""

    def serve(self) -> None:
        """Run until a signal or `stop`."""
        supervisor = _Supervisor(self._options, self)
        try:
            supervisor.main()
        except asyncore.ExitNow:
            return
        finally:
            supervisor.leave_nothing_behind()
            self._options.close_logger()

    def stop(self) -> None:
        """Stop the last service, then those behind it."""
        self._options.mood = SupervisorStates.SHUTDOWN

    @property
    def stopping(self) -> bool:
        """Whether the end has begun."""
        return bool(self._options.mood < SupervisorStates.RUNNING)

    def notice(self, event: Any) -> None:
        """Say what happened to a process; when nobody can read it any more, that ends the run."""
        try:
            self._say(event)
        except OSError:
            self.stop()

    def _say(self, event: Any) -> None:
        service = str(event.process.config.name)
        if isinstance(event, events.ProcessLogEvent):
            self._screen.write(service, event.data)
        elif isinstance(event, events.ProcessStateStartingEvent):
            log.info("starting", process=service)
        elif isinstance(event, events.ProcessStateExitedEvent | events.ProcessStateBackoffEvent):
            self._screen.end(service)
            log.error("died", process=service, reason=event.process.spawnerr or "exited", next="restart")
        elif isinstance(event, events.ProcessStateFatalEvent):
            self.given_up = self.given_up or service
            log.error("given_up", process=service, log=event.process.config.stdout_logfile)
        elif isinstance(event, events.ProcessStateStoppedEvent):
            self._screen.end(service)
            log.info("stopped", process=service)


class _Supervisor(Supervisor):
    """Tells `Supervision` of every event; supervisor forgets its listeners when it starts."""

    def __init__(self, options: ServerOptions, supervision: Supervision) -> None:
        super().__init__(options)
        self._supervision = supervision

    def leave_nothing_behind(self) -> None:
        """End what still runs if supervisor itself failed; each service leads a process group of its own."""
        for group in (self.process_groups or {}).values():
            for process in group.processes.values():
                if process.pid:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGTERM)

    def runforever(self) -> None:
        for event in (events.ProcessStateEvent, events.ProcessLogEvent):
            events.subscribe(event, self._supervision.notice)
        super().runforever()


class _Options(ServerOptions):
    """A closed terminal ends the run; supervisor would take it as a wish to start again."""

    def setsignals(self) -> None:
        super().setsignals()
        signal.signal(signal.SIGHUP, lambda *_: self.signal_receiver.receive(signal.SIGTERM, None))


def _options(services: tuple[Service, ...], state_dir: Path) -> "_Options":
    """Write and read the configuration; what may hold any character is filled in after it is parsed."""
    options = _Options()
    (state_dir / "logs").mkdir(parents=True, exist_ok=True)
    options.environ_expansions["ENV_state"] = str(state_dir)
    text = SUPERVISOR
    if os.getuid() == 0:
        text += f"user = {pwd.getpwuid(0).pw_name}\n"  # said aloud, or supervisor calls it critical
    for service in services:
        text += PROGRAM.replace("<name>", service.name)
    if behind := services[:-1]:
        text += BEHIND.replace("<names>", ",".join(service.name for service in behind))
    path = state_dir / "supervisord.conf"
    path.write_text(text, encoding="utf-8")
    options.realize(["-c", str(path)], doc="")
    by_name = {service.name: service for service in services}
    for process in (process for group in options.process_group_configs for process in group.process_configs):
        process.command = shlex.join(by_name[process.name].command)
        process.environment = dict(by_name[process.name].environment)
        process.stdout_logfile = str(state_dir / "logs" / f"{process.name}.log")
    options.first = True
    options.test = False
    return options
