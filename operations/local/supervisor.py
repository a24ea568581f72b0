"""Start, restart and stop the services with the library `supervisor`.

It restarts a process that exits. Here it also restarts one that does not respond, starts a process again at once after
its first exit and with growing pauses after further ones, and does not start one again that refused its release.
"""

import os
import pwd
import shlex
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from supervisor import events
from supervisor.medusa import asyncore_25 as asyncore
from supervisor.options import ProcessConfig, ServerOptions, decode_wait_status
from supervisor.process import Subprocess
from supervisor.states import ProcessStates, SupervisorStates
from supervisor.supervisord import Supervisor

from operations.local.liveness import LivenessMonitor
from operations.local.output import OutputMultiplexer
from operations.local.service_table import Service
from product_classifier.observability import get_logger
from product_classifier.parent_process import terminate_with_parent

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

EXIT_CONFIGURATION = os.EX_CONFIG
"""Exit status of a process that would fail in the same way again: a model server whose release is refused."""
STABLE_S = 30.0
"""Lifetime from which the next exit of a process counts as its first."""
LONGEST_PAUSE_S = 30.0
"""Longest pause before a process that exits again and again is started."""
POLL_S = 0.2
"""Longest time until an exit is noticed."""

log = get_logger()


class ServiceSupervisor:
    """Supervises the services; stops the last one, the gateway, first and then all others together."""

    def __init__(self, services: Iterable[Service], state_dir: Path, output: OutputMultiplexer) -> None:
        self._services = {service.name: service for service in services}
        self._options = _options(tuple(self._services.values()), state_dir)
        self._output = output
        self.liveness = LivenessMonitor(self._services.values())
        self.failed_service: str | None = None
        """The first service that exceeded its start retries or refused its release."""

    def run(self) -> None:
        """Run until a signal or `stop`."""
        supervisor = _Supervisor(self._options, self)
        self.liveness.start()
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
        self._log_event(event)
        if self._output.is_closed:
            self.stop()

    def _log_event(self, event: Any) -> None:
        service = str(event.process.config.name)
        if isinstance(event, events.ProcessLogEvent):
            self._output.write(service, event.data)
        elif isinstance(event, events.ProcessStateStartingEvent):
            self.liveness.process_started(service)
            log.info("service_started", process=service)
        elif isinstance(event, events.ProcessStateExitedEvent | events.ProcessStateBackoffEvent):
            self._output.end(service)
            if event.process.refused_release:
                return
            pause_s = round(event.process.restart_pause_s)
            log.error("service_exited", process=service, reason=event.process.exit_reason, restart_in_s=pause_s)
        elif isinstance(event, events.ProcessStateFatalEvent):
            self.failed_service = self.failed_service or service
            log.error("service_failed", process=service, reason=self.failure(service), log=self._log_of(service))
        elif isinstance(event, events.ProcessStateStoppedEvent):
            self._output.end(service)
            log.info("service_stopped", process=service)

    def failure(self, service: str) -> str:
        """Return why a service failed, from the last line it wrote, and what to do."""
        last = self._output.last_line(service) or "it wrote no output"
        pointer = self._services[service].pointer
        process = self._options.process(service)
        if pointer is None or not process.refused_release:
            return f"{service}: {last}; read its log in {self._log_of(service)}"
        release, *_ = _read(pointer) or ("without a name",)
        return (
            f"{service} refuses release {release}: {last}; make another release the champion with"
            " `python -m pipelines rollback`, or train one with `make train`"
        )

    def _log_of(self, service: str) -> str:
        return str(self._options.process(service).config.stdout_logfile)


class _Process(Subprocess):
    """A process with this product's rules for restarts."""

    config: "_ProcessConfig"
    state: int

    def __init__(self, config: "_ProcessConfig") -> None:
        super().__init__(config)
        self.refused_release = False
        self.exit_reason = ""
        self.restart_pause_s = 0.0
        self._quick_exits = 0
        self._started_at = self._restart_at = 0.0
        self._refused_pointer: object = None
        self._was_running = False

    def spawn(self) -> int | None:
        self._started_at = time.monotonic()
        self.refused_release = False
        return super().spawn()  # type: ignore[no-any-return]

    def finish(self, pid: int, sts: int) -> None:
        status, message = decode_wait_status(sts)
        self.exit_reason = self.exit_reason or str(message)
        self.refused_release = status == EXIT_CONFIGURATION and not self.killing
        self._was_running = self._was_running or self.state == ProcessStates.RUNNING
        super().finish(pid, sts)
        self.exit_reason = ""
        if self.refused_release:
            self._refused_pointer = _read(self.config.pointer)
            self.state = ProcessStates.BACKOFF  # from which supervisor gives up
            self.give_up()

    def change_state(self, new_state: int, expected: bool = True) -> bool:
        if new_state in (ProcessStates.BACKOFF, ProcessStates.EXITED):
            self._set_pause()
        changed = super().change_state(new_state, expected)
        if new_state == ProcessStates.BACKOFF:
            self.delay = 0  # the pause is in monotonic time, below
            if self._was_running:
                self.backoff = 0  # supervisor gives up only on a process that never ran
        return bool(changed)

    def transition(self) -> None:
        if self.state in (ProcessStates.EXITED, ProcessStates.BACKOFF) and time.monotonic() < self._restart_at:
            return
        if self.state == ProcessStates.FATAL and self.refused_release and self.config.options.mood_is_running():
            if _read(self.config.pointer) != self._refused_pointer:
                self.spawn()
            return
        super().transition()

    def kill_hung(self) -> None:
        """Kill the process and the rest of its group; it is restarted as after any exit."""
        self.exit_reason = "it did not respond and was killed"
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def _set_pause(self) -> None:
        now = time.monotonic()
        self._quick_exits = self._quick_exits + 1 if now - self._started_at < STABLE_S else 1
        self.restart_pause_s = 0.0 if self._quick_exits == 1 else min(2.0 ** (self._quick_exits - 2), LONGEST_PAUSE_S)
        self._restart_at = now + self.restart_pause_s


class _ProcessConfig(ProcessConfig):
    """Makes `_Process`."""

    pointer: Path | None = None

    def make_process(self, group: Any = None) -> _Process:
        process = _Process(self)
        process.group = group
        self.process = process
        return process


def _read(pointer: Path | None) -> tuple[str, int, int] | None:
    """Return a value that changes with the file and begins with its content; None if there is none."""
    try:
        if pointer is None:
            return None
        status = pointer.stat()
        return pointer.read_text(encoding="utf-8", errors="replace").strip()[:128], status.st_mtime_ns, status.st_ino
    except OSError:
        return None


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

    def reap(self, once: bool = False, recursionguard: int = 0) -> None:
        super().reap(once, recursionguard)
        if not recursionguard:
            for group in self.process_groups.values():
                group.transition()  # starts a process again at once, not after the next poll

    def tick(self, now: float | None = None) -> None:
        super().tick(now)
        for group in self.process_groups.values():
            for process in group.processes.values():
                if process.pid and not process.killing and self._owner.liveness.is_hung(process.config.name):
                    self._owner.liveness.process_started(process.config.name)
                    log.error("service_hung", process=process.config.name, next="kill")
                    process.kill_hung()

    def runforever(self) -> None:
        for event in (events.ProcessStateEvent, events.ProcessLogEvent):
            events.subscribe(event, self._owner.handle_event)
        super().runforever()


class _Options(ServerOptions):
    """Options of a supervisor in the foreground, whose services end with it."""

    def __init__(self) -> None:
        super().__init__()
        self._parent = os.getpid()
        poll = self.poller.poll
        self.poller.poll = lambda timeout: poll(min(timeout, POLL_S))

    def setsignals(self) -> None:
        """Treat SIGHUP, sent when the terminal is closed, as SIGTERM; supervisor would reload instead."""
        super().setsignals()
        signal.signal(signal.SIGHUP, lambda *_: self.signal_receiver.receive(signal.SIGTERM, None))

    def setpgrp(self) -> None:
        """Make the new process the leader of a group that ends with the supervisor."""
        super().setpgrp()
        terminate_with_parent(self._parent)

    def processes_from_section(self, parser: Any, section: str, group_name: str, _: Any = None) -> list[Any]:
        found = super().processes_from_section(parser, section, group_name, _ProcessConfig)
        return cast("list[Any]", found)

    def mood_is_running(self) -> bool:
        """Whether processes may be started."""
        return bool(self.mood > SupervisorStates.RESTARTING)

    def process(self, name: str) -> _Process:
        """Return a process by its name."""
        return next(
            cast("_Process", process.process)
            for group in self.process_group_configs
            for process in group.process_configs
            if process.name == name
        )


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
        process.pointer = by_name[process.name].pointer
        process.stdout_logfile = str(state_dir / "logs" / f"{process.name}.log")
    options.first = True
    options.test = False
    return options
