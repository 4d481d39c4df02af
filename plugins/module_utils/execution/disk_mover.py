# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Carrying out the disks of one guest, a look at a time: stop, move one after the other, start, know how it ended.

A disk has moved when the configuration names the new volume; its task's exit code alone says less (pve-facts §3.1,
§16). Only reads are repeated: a write whose answer is lost is looked for, and never sent again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.pve.mobility.plugins.module_utils.api import tasks
from ansible_collections.pve.mobility.plugins.module_utils.api.clock import Clock
from ansible_collections.pve.mobility.plugins.module_utils.api.errors import (
    ApiError,
    Conflict,
    Locked,
    MaybeSent,
    MobilityError,
    NodeUnreachable,
    NoQuorum,
    NotFound,
    TaskFailed,
    TimedOut,
)
from ansible_collections.pve.mobility.plugins.module_utils.api.progress import Progress
from ansible_collections.pve.mobility.plugins.module_utils.api.session import Session
from ansible_collections.pve.mobility.plugins.module_utils.api.upid import Upid
from ansible_collections.pve.mobility.plugins.module_utils.execution import disk_outcome
from ansible_collections.pve.mobility.plugins.module_utils.execution.disk_underway import (
    MOVE_TASKS,
    running_move,
    take_up,
)
from ansible_collections.pve.mobility.plugins.module_utils.execution.disk_work import DiskWork, Step
from ansible_collections.pve.mobility.plugins.module_utils.execution.start import Wanted, find_started
from ansible_collections.pve.mobility.plugins.module_utils.model.disk import Disk
from ansible_collections.pve.mobility.plugins.module_utils.model.guest_config import GuestConfig, guest_config

SETTLE = 10.0
"""Seconds for which a configuration may lag behind a task that has ended well."""
STOPPING = 60.0
"""Seconds beyond its own time limit after which a shutdown counts as failed; the HA manager acts every 10 s."""
STARTING = 180.0
"""Seconds that a container may take to start."""
UNREACHABLE = 300.0
"""Seconds without any API host until following is given up; the move goes on."""
TRIES = 3
"""How often somebody else's lock may come first."""
SHORTEST, LONGEST = 1.0, 2.0
"""Seconds between polls: grows while nothing changes; the end of a task must be known within two seconds."""


@dataclass(slots=True)
class DiskMover:
    """Works on one guest. :meth:`poll` does what can be done now; :meth:`wait` until the end or a deadline.

    :ivar progress: how far the present disk is.
    """

    session: Session
    clock: Clock
    work: DiskWork
    progress: Progress = field(default_factory=Progress)
    _log: tasks.TaskLog | None = None
    _seen: GuestConfig | None = None
    _final: MobilityError | None = None
    _pause: float = SHORTEST
    _last: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        """Go on where an earlier process has stopped.

        :raises Invalid: the handle was not made by :meth:`handle`.
        """
        self.session.prefer(self.work.host)
        step = self.work.step
        if step is not None and step.task is not None and step.progress is not None:
            try:
                self.progress = Progress.from_dict(step.progress)
            except (KeyError, TypeError, ValueError):
                raise DiskWork.no_handle() from None
            self._log = tasks.TaskLog(Upid.parse(step.task), skipped=step.lines_read)

    def handle(self) -> dict[str, Any]:
        """All that another process needs to go on."""
        self.work.host = self.session.host
        step = self.work.step
        if step is not None and self._log is not None and self._log.upid.text == step.task:
            step.lines_read = self._log.count
            step.progress = self.progress.as_dict()
        return self.work.as_dict()

    @property
    def lines(self) -> list[str]:
        return self._log.lines if self._log is not None else []

    def poll(self) -> None:
        """Look once, and do what comes next. API hosts that do not answer are borne for a while.

        :raises MobilityError: something failed for good, with where the disks are now.
        """
        work = self.work
        try:
            self._advance()
        except (NodeUnreachable, NoQuorum) as silence:
            if silence is self._final:
                raise
            now = self.clock.monotonic()
            if work.silent_since is None:
                work.silent_since = now
            self.session.rotate()
            if now - work.silent_since >= UNREACHABLE:
                raise disk_outcome.lost(work, silence, UNREACHABLE) from None
            return
        work.silent_since = None

    def wait(self, deadline: float | None) -> bool:
        """Until all is over, or until the clock passes ``deadline``; whether it is over."""
        while True:
            self.poll()
            if self.work.phase == "over":
                return True
            pause = self.pause()
            if deadline is not None:
                left = deadline - self.clock.monotonic()
                if left <= 0:
                    return False
                pause = min(pause, left)
            self.clock.sleep(pause)

    def pause(self) -> float:
        """Seconds until the next look: short after a change, longer while nothing happens."""
        work = self.work
        now = (work.phase, work.index, self.progress.phase, work.step.task if work.step else None)
        self._pause = SHORTEST if now != self._last else min(LONGEST, self._pause * 1.5)
        self._last = now
        return self._pause

    def _advance(self) -> None:
        match self.work.phase:
            case "look":
                self._look()
            case "foreign":
                self._await_foreign()
            case "stop":
                self._stop()
            case "move":
                self._move()
            case "start":
                self._start()

    # ------------------------------------------------------------ others

    def _look(self) -> None:
        """After somebody else came first: whose move is it, and has it done what is wanted here?"""
        work = self.work
        rows, upid = running_move(self.session, work.guest)
        work.known = [str(row["upid"]) for row in rows]
        if upid is None:
            self._refresh(None)
            work.phase = "move"
            return
        try:
            take_up(self.session, work, upid)
        except Conflict as conflict:
            self._give_up(conflict)

    def _await_foreign(self) -> None:
        work = self.work
        upid = Upid.parse(work.foreign or "")
        if self._status(upid).running:
            return
        self._refresh(upid)
        work.foreign = None
        work.phase = "stop" if work.restart and work.power_task is None and not work.moves else "move"

    def _refresh(self, upid: Upid | None) -> None:
        """Take over what has been moved meanwhile.

        :raises Conflict: a disk is neither where it was nor where it should be.
        """
        self._take_over(self.config(), upid)

    def _take_over(self, config: GuestConfig, upid: Upid | None) -> None:
        work = self.work
        work.digest = config.digest
        for step in [item for item in work.steps[work.index :] if item.task is None]:
            disk = config.disk(step.disk)
            if disk is not None and disk.volid == step.source:
                continue
            if disk is None or not _arrived(work, step, disk):
                where = f"is {disk.volid} now" if disk is not None else "is gone"
                self._give_up(
                    Conflict(
                        f"{step.disk} of {work.label} was {step.source} and {where}: somebody else has changed it."
                        " Run this again."
                    )
                )
                return
            step.adopted, step.task = True, upid.text if upid is not None else None
            work.steps.remove(step)
            work.moves.append(disk_outcome.move_row(work, step, disk, config, self.progress, self.clock.monotonic()))

    # ------------------------------------------------------------ stop and start

    def _stop(self) -> None:
        work, now = self.work, self.clock.monotonic()
        if self._running() is False:
            work.power_task = work.power_since = None
            work.phase = "move"
            return
        if work.power_since is None:
            work.power_since = now
            work.power_task = self._power("shutdown", {"timeout": work.stop_timeout})
            return
        if work.power_task is not None and self._power_failed(work.power_task):
            why = self._cause(Upid.parse(work.power_task))
            raise TaskFailed(
                f"{work.label} could not be shut down ({why}), so no volume was moved; it goes on running. Shut it down"
                " by hand, or give it more time (stop_timeout).",
                task=work.power_task,
                **disk_outcome.facts(work),
            )
        if now - work.power_since > work.stop_timeout + STOPPING:
            raise TimedOut(
                f"{work.label} did not shut down within {work.stop_timeout} s, so no volume was moved. Shut it down by"
                " hand, or give it more time (stop_timeout).",
                task=work.power_task,
                **disk_outcome.facts(work),
            )

    def _start(self) -> None:
        work, now = self.work, self.clock.monotonic()
        if self._running():
            return self._end()
        if work.power_since is None:
            work.power_since = now
            work.power_task = self._power("start", {})
            return None
        failed = work.power_task is not None and self._power_failed(work.power_task)
        if failed or now - work.power_since > STARTING:
            why = self._cause(Upid.parse(work.power_task)) if failed and work.power_task else "it takes too long"
            text = f"{work.label} could not be started again after its volumes were moved: {why}."
            if work.trouble is None:
                raise TaskFailed(text, task=work.power_task, **disk_outcome.facts(work))
            work.trouble["message"] += f" {text}"
            return self._end()
        return None

    def _power(self, action: str, params: dict[str, Any]) -> str | None:
        """Ask for it; whether it was carried out shows in the state of the container."""
        work = self.work
        try:
            return str(self.session.post(f"{work.guest.path}/status/{action}", params))
        except MaybeSent:
            return None

    def _power_failed(self, task: str) -> bool:
        status = self._status(Upid.parse(task))
        # The tasks of the HA manager only queue the request.
        return status.bad

    def _running(self) -> bool:
        return bool(self.session.get(f"{self.work.guest.path}/status/current").get("status") == "running")

    def _end(self) -> None:
        self.work.phase = "over"
        if self.work.trouble is not None:
            raise disk_outcome.revived(self.work.trouble)

    # ------------------------------------------------------------ moving

    def _move(self) -> None:
        step = self.work.step
        if step is None:
            self._moved_all()
        elif step.task is None:
            self._begin(step)
        else:
            status = self._status(Upid.parse(step.task), log=True)
            if not status.running:
                self._conclude(step, status)

    def _moved_all(self) -> None:
        work = self.work
        work.power_task = work.power_since = None
        if work.restart:
            work.phase = "start"
        else:
            self._end()

    def _begin(self, step: Step) -> None:
        """Send the one write."""
        work, guest = self.work, self.work.guest
        step.asked_at = self.clock.monotonic()
        call, name = ("move_disk", "disk") if work.type == "qemu" else ("move_volume", "volume")
        try:
            upid = Upid.parse(
                str(self.session.post(f"{guest.path}/{call}", {name: step.disk, **parameters(work, step)}))
            )
        except MaybeSent as doubt:
            wanted = Wanted(MOVE_TASKS, frozenset(work.known))
            try:
                upid = find_started(self.session, self.clock, guest, wanted, doubt)
            except NodeUnreachable as unknown:
                return self._give_up(unknown)
        except ApiError as refusal:
            if step.tries < TRIES and _came_first(refusal):
                step.tries += 1
                work.phase = "look"
                return None
            return self._give_up(disk_outcome.not_started(work, step, refusal))
        step.task, step.since = upid.text, upid.start
        self.progress, self._log = Progress(), None
        work.known.append(upid.text)
        return None

    def _conclude(self, step: Step, status: tasks.TaskStatus) -> None:
        """The task has ended: what counts is which volume the configuration names."""
        work = self.work
        config = self.config()
        disk = config.disk(step.disk)
        now = self.clock.monotonic()
        if disk is not None and disk.volid != step.source and disk.storage == work.storage:
            if self._log is not None:
                self._log.whole(self.session)
            if status.bad and _second(tasks.cause(self.lines, status.exitstatus)):
                # Somebody else has moved it, while the task of this one waited for its turn.
                step.adopted, step.task, status = True, None, replace(status, exitstatus="OK")
            work.moves.append(disk_outcome.move_row(work, step, disk, config, self.progress, now))
            work.warnings += disk_outcome.warnings(work, step, disk, config, status, self.lines)
            work.index += 1
            work.calm_since = None
            self._log = None
            self._take_over(config, None)
            return
        if status.good:
            if work.calm_since is None:
                work.calm_since = now
            if now - work.calm_since < SETTLE:
                return
        why = "its task has ended well, but nothing has changed"
        if status.bad:
            why = tasks.cause(self.lines, status.exitstatus)
        work.calm_since = None
        if step.tries < TRIES and _second(why):
            # Two at once: the other one holds the configuration, and may be doing just this.
            step.tries += 1
            step.task, step.progress, self._log = None, None, None
            work.phase = "look"
            return
        self._give_up(disk_outcome.failed(self.session, work, step, config, why, self.lines))

    def _give_up(self, error: MobilityError) -> None:
        """A container that was stopped for this is started first."""
        work = self.work
        error.details = disk_outcome.facts(work) | error.details
        if not work.restart or work.phase == "stop":
            self._final = error
            raise error
        work.trouble = {"message": error.message, "kind": error.kind, "details": error.details}
        work.power_task = work.power_since = None
        work.phase = "start"

    # ------------------------------------------------------------ reading

    def _status(self, upid: Upid, log: bool = False) -> tasks.TaskStatus:
        """Status first, then the log, so that the log of an ended task is complete."""
        try:
            status = tasks.status(self.session, upid)
        except NotFound:
            return tasks.TaskStatus(upid.text, False, "the node has forgotten the task")
        if log:
            if self._log is None or self._log.upid.text != upid.text:
                self._log = tasks.TaskLog(upid)
            self.progress.feed(self._log.read_on(self.session), self.clock.monotonic())
        return status

    def _cause(self, upid: Upid) -> str:
        log = tasks.TaskLog(upid)
        log.read_on(self.session)
        return tasks.cause(log.lines, self._status(upid).exitstatus)

    def config(self) -> GuestConfig:
        """The guest's configuration now."""
        self._seen = self._read_config()
        return self._seen

    def last_config(self) -> GuestConfig:
        """As it was after the last disk: this process has written nothing since."""
        return self._seen or self.config()

    def _read_config(self) -> GuestConfig:
        guest = self.work.guest
        row = self.session.get(f"{guest.path}/config", {"current": True} if guest.type == "qemu" else None)
        return guest_config(guest.vmid, guest.type, guest.node, row)


def parameters(work: DiskWork, step: Step) -> dict[str, Any]:
    """Parameters of the move beside the disk; only what differs from Proxmox VE's defaults.

    The digest keeps a move from being made twice when somebody else was faster.
    """
    params: dict[str, Any] = {
        "storage": work.storage,
        "delete": True if work.delete else None,
        "bwlimit": work.bwlimit,
        "digest": work.digest or None,
    }
    if work.type == "qemu" and work.format is not None and step.kind != "tpmstate":
        params["format"] = work.format
    return params


def _came_first(refusal: ApiError) -> bool:
    """Somebody else holds the configuration, or has just changed it."""
    return isinstance(refusal, Locked) or "modified configuration" in refusal.reason


def _second(why: str) -> bool:
    """Whether the task failed because another one held the configuration, or has changed it."""
    return "got timeout" in why or "modified configuration" in why


def _arrived(work: DiskWork, step: Step, disk: Disk) -> bool:
    return disk.storage == work.storage and (work.type == "lxc" or work.format is None or disk.format == step.format)
