"""Start, restart and stop the services with the library `supervisor`."""

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

from operations.local.output import OutputMultiplexer
from operations.local.service_table import Service
from product_classifier.observability import get_logger

SUPERVISORD = """\
[supervisord]
nodaemon = true
silent = true
logfile = %(ENV_state)s/logs/supervisord.log
childlogdir = %(ENV_state)s/logs
pidfile = %(ENV_state)s/supervisord.pid
identifier = product-classifier
"""

BACKENDS = """
[group:backends]
programs = <names>
priority = 1
"""

PROGRAM = """
[program:<name>]
command = set after parsing
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


class ServiceSupervisor:
    """Supervises the services; stops the last one, the gateway, first and then all others together."""

    def __init__(self, services: Iterable[Service], state_dir: Path, output: OutputMultiplexer) -> None:
        self._options = _options(tuple(services), state_dir)
        self._output = output
        self.failed_service: str | None = None
        """The first service that exceeded its start retries."""

    def run(self) -> None:
        """Run until a signal or `stop`."""
        supervisor = _Supervisor(self._options, self)
        try:
            supervisor.main()
        except asyncore.ExitNow:
            return
        finally:
            supervisor.terminate_services()
            self._options.close_logger()

    def stop(self) -> None:
        """Stop the gateway, then the other services; safe to call from another thread."""
        self._options.mood = SupervisorStates.SHUTDOWN

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called or a signal was received."""
        return bool(self._options.mood < SupervisorStates.RUNNING)

    def handle_event(self, event: Any) -> None:
        """Log an event of a process; stop when standard output is closed."""
        try:
            self._log_event(event)
        except OSError:
            self.stop()

    def _log_event(self, event: Any) -> None:
        service = str(event.process.config.name)
        if isinstance(event, events.ProcessLogEvent):
            self._output.write(service, event.data)
        elif isinstance(event, events.ProcessStateStartingEvent):
            log.info("service_started", process=service)
        elif isinstance(event, events.ProcessStateExitedEvent | events.ProcessStateBackoffEvent):
            self._output.end(service)
            log.error("service_exited", process=service, reason=event.process.spawnerr or "exited", next="restart")
        elif isinstance(event, events.ProcessStateFatalEvent):
            self.failed_service = self.failed_service or service
            log.error("service_failed", process=service, log=event.process.config.stdout_logfile)
        elif isinstance(event, events.ProcessStateStoppedEvent):
            self._output.end(service)
            log.info("service_stopped", process=service)


class _Supervisor(Supervisor):
    """Passes every event to `ServiceSupervisor`; supervisor clears its subscriptions when it starts."""

    def __init__(self, options: ServerOptions, owner: ServiceSupervisor) -> None:
        super().__init__(options)
        self._owner = owner

    def terminate_services(self) -> None:
        """Terminate what still runs if supervisor itself failed; each service leads its process group."""
        for group in (self.process_groups or {}).values():
            for process in group.processes.values():
                if process.pid:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGTERM)

    def runforever(self) -> None:
        for event in (events.ProcessStateEvent, events.ProcessLogEvent):
            events.subscribe(event, self._owner.handle_event)
        super().runforever()


class _Options(ServerOptions):
    """Treats SIGHUP, sent when the terminal is closed, as SIGTERM; supervisor would reload instead."""

    def setsignals(self) -> None:
        super().setsignals()
        signal.signal(signal.SIGHUP, lambda *_: self.signal_receiver.receive(signal.SIGTERM, None))


def _options(services: tuple[Service, ...], state_dir: Path) -> "_Options":
    """Write and parse supervisor's configuration.

    Commands, environments and log files are set after parsing: the configuration file has no escape for every character
    that they may contain.
    """
    options = _Options()
    (state_dir / "logs").mkdir(parents=True, exist_ok=True)
    options.environ_expansions["ENV_state"] = str(state_dir)
    text = SUPERVISORD
    if os.getuid() == 0:
        text += f"user = {pwd.getpwuid(0).pw_name}\n"  # without it supervisor logs a critical message
    for service in services:
        text += PROGRAM.replace("<name>", service.name)
    if backends := services[:-1]:
        text += BACKENDS.replace("<names>", ",".join(service.name for service in backends))
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
