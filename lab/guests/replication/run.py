# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of a job: snapshots, deltas, clean-up on both sides (pve-guest-common Replication.pm)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.errors import ApiFault, Die
from lab.guests.migrate.copy import Copy, take_snapshot
from lab.guests.migrate.transport import NO_ROUTE, Way, find_way
from lab.guests.replication.jobs import Job, replicatable_volumes, save
from lab.pve.formats import GuestConfig, parse_property_string
from lab.pve.storage_status import activate
from lab.sim.engine import Sim

if TYPE_CHECKING:
    from lab.guests.migrate.worker import Steps
    from lab.pve.cluster import Cluster
    from lab.pve.pmxcfs import VmEntry
    from lab.pve.storage import Volume

FREEZE_SECONDS = 0.3


@dataclass(slots=True)
class Run:
    """A run under way.

    :ivar steps: whose time and signals it uses: a migration's, or those of the scheduler.
    :ivar keep: gets the log, which later is the job's log file. :ivar echo: also gets each message (migration).
    """

    steps: Steps
    job: Job
    start: int
    iteration: int
    keep: list[str] = field(default_factory=list)
    echo: Callable[[str], None] | None = None
    way: Way = field(init=False)

    def log(self, text: str) -> None:
        self.keep.append(f"{self.steps.cluster.stamp()} {self.job.id}: {text}")
        if self.echo is not None:
            self.echo(text)

    def run(self) -> Sim:
        """Replicate; the value is the list of volumes.

        :raises Die: the run failed; the job's state tells it too.
        """
        steps, node, job = self.steps, self.steps.node, self.job
        state: dict[str, Any] = {
            "last_sync": 0, "fail_count": 0, "storeid_list": [], **node.replication_state.get(job.id, {}),
            "pid": node.new_pid(), "last_node": node.name, "last_try": self.start, "last_iteration": self.iteration,
        }  # fmt: skip
        node.replication_state[job.id] = state
        began = steps.engine.env.now
        self.log("start replication job")
        problem: ApiFault | None = None
        volumes: list[str] = []
        try:
            volumes = yield from self._replicate(state)
        except ApiFault as fault:
            problem = fault
            self.log(f"end replication job with error: {fault.reason}")
        else:
            self.log("end replication job")
        state["duration"] = round(steps.engine.env.now - began, 6)
        state.pop("pid", None)
        if problem is not None:
            state["fail_count"] = int(state["fail_count"]) + 1
            state["error"] = problem.reason
            raise Die(problem.reason) from problem
        if job.removal is not None:
            node.replication_state.pop(job.id, None)
        else:
            state.pop("error", None)
            state |= {"last_sync": self.start, "fail_count": 0}
        return volumes

    # ------------------------------------------------------------ the steps

    def _replicate(self, state: dict[str, Any]) -> Sim:
        steps, job, cluster = self.steps, self.job, self.steps.cluster
        last_sync = int(state["last_sync"])
        if self.start <= last_sync:
            raise Die(f"start time before last sync ({self.start} <= {last_sync}) - abort sync")
        entry = cluster.guest(job.guest)
        if entry is None:
            raise Die(f"Configuration file of guest '{job.guest}' does not exist")
        config = cluster.config(entry)
        volumes = replicatable_volumes(cluster, entry, config, job.removal is not None)
        process = steps.node.running.get(job.guest)
        running = process.pid if process is not None else 0
        self.log(f"guest => {'VM' if entry.type == 'qemu' else 'CT'} {job.guest}, running => {running}")
        self.log(f"volumes => {','.join(volumes)}")
        if job.removal is not None:
            yield from self._remove(volumes, state, job.removal)
            return []
        yield from self._find_way(*replication_way(cluster))
        bases = yield from self._prepare_target(entry, volumes, state, config)
        state["storeid_list"] = sorted({volid.partition(":")[0] for volid in volumes})
        name = snapshot_name(job.id, self.start)
        yield from self._snapshot(entry, config, volumes, name, bool(running))
        try:
            yield from self._send(volumes, bases, name)
        except ApiFault:
            for volid in volumes:
                self._drop(volid, steps.node.name, name)
            raise
        state["last_sync"] = self.start
        yield from steps.pause(0.5)
        for volid in volumes:
            previous = snapshot_name(job.id, last_sync)
            if self._drop(volid, steps.node.name, previous):
                self.log(f"delete previous replication snapshot '{previous}' on {volid}")
        for volid in volumes:
            for stale in self._stale(volid, self.way.target.name, name):
                self._drop(volid, self.way.target.name, stale)
                self.log(f"(remote_finalize_local_job) delete stale replication snapshot '{stale}' on {volid}")
        return volumes

    def _find_way(self, network: str | None, secure: bool) -> Sim:
        target = self.steps.cluster.nodes.get(self.job.target, self.steps.node)
        self.way = yield from find_way(self.steps, self.steps.node, target, network, secure)

    def _snapshot(self, entry: VmEntry, config: GuestConfig, volumes: list[str], name: str, running: bool) -> Sim:
        cluster = self.steps.cluster
        agent = parse_property_string(config.current.get("agent", ""), "enabled").get("enabled") == "1"
        freeze = running and (entry.type == "lxc" or agent)
        if freeze:
            self.log("freeze guest filesystem")
            yield from self.steps.pause(FREEZE_SECONDS)
        for volid in volumes:
            self.log(f"create snapshot '{name}' on {volid}")
            volume = cluster.storages.find(volid, self.steps.node.name)
            if volume is None:
                raise Die(f"zfs error: cannot open '{volid}': dataset does not exist")
            take_snapshot(cluster, volume, name)
            yield from self.steps.pause(0.1)
        if freeze:
            self.log("thaw guest filesystem")

    def _send(self, volumes: list[str], bases: dict[str, str], name: str) -> Sim:
        cluster, job = self.steps.cluster, self.job
        over = f" over {self.way.network}" if self.way.network else ""
        rate = f"{job.values['rate']} MByte/s" if job.rate else "none"
        self.log(f"using {'secure' if self.way.secure else 'insecure'} transmission{over}, rate limit: {rate}")
        for volid in volumes:
            base = bases.get(volid)
            if base is not None:
                self.log(f"incremental sync '{volid}' ({base} => {name})")
            else:
                self.log(f"full sync '{volid}' ({name})")
            volume = cluster.storages.find(volid, self.steps.node.name)
            began = self.steps.engine.now
            since = next((snap.created for snap in volume.snapshots if snap.name == base), began) if volume else began
            self._mishap("disks", f"set -o pipefail && pvesm export {volid} zfs - -with-snapshots 1 -snapshot {name}")
            if volume is not None:
                volume.dirty = min(volume.used, written(cluster, job.guest, volume, since))
            yield from Copy(
                self.steps, self.way, volid, volid.partition(":")[0], self.log,
                job.rate * 1e6 if job.rate else None, True, False, name, base,
            ).run()  # fmt: skip
            if volume is not None:
                volume.dirty = 0

    def _prepare_target(self, entry: VmEntry, volumes: list[str], state: dict[str, Any], config: GuestConfig) -> Sim:
        """``pvesr prepare-local-job`` on the target; the value is the base snapshot by volume."""
        steps, cluster, target = self.steps, self.steps.cluster, self.way.target
        last_sync = int(state["last_sync"])
        scan = [name for name in state.get("storeid_list", []) if name in cluster.storages.definitions()]
        words = f"{self.way.ssh} -- pvesr prepare-local-job {self.job.id}"
        words += f" --scan {','.join(scan)}" if scan else ""
        words += "".join(f" {volid}" for volid in volumes) + f" --last_sync {last_sync}"
        parent = config.current.get("parent")
        words += f" --parent_snapname {parent}" if parent else ""
        yield from steps.pause(0.6)
        if not target.up:
            yield from steps.pause(NO_ROUTE)
            self._remote(f"ssh: connect to host {self.way.address} port 22: No route to host")
            raise Die(f"command '{words}' failed: exit code 255")
        for storage in sorted({*scan, *(volid.partition(":")[0] for volid in volumes)}):
            try:
                activate(cluster, storage, target.name)
            except ApiFault as fault:
                self._complain(storage, fault.reason)
                code = 1 if fault.reason.endswith("\n") else 255
                raise Die(f"command '{words}' failed: exit code {code}") from fault
        self._mishap("prepare", words)
        self._delete_stale(volumes, scan, last_sync)
        return self._bases(volumes, last_sync, parent)

    def _complain(self, storage: str, reason: str) -> None:
        """A pool that is not there makes zfs complain twice before the plugin does (timelines 08b)."""
        if reason.endswith("\n"):
            pool = self.steps.cluster.storages.definition(storage).values.get("pool", "").partition("/")[0]
            for _attempt in range(2):
                self._remote(f"zfs error: cannot open '{pool}': no such pool")
                self._remote("")
            self._remote(reason.rstrip("\n"))
            self._remote("")
        else:
            self._remote(reason)

    def _delete_stale(self, volumes: list[str], scan: list[str], last_sync: int) -> None:
        cluster, target = self.steps.cluster, self.way.target.name
        prefix = f"__replicate_{self.job.id}_"
        for storage in sorted({*scan, *(volid.partition(":")[0] for volid in volumes)}):
            for volume in cluster.storages.volumes(storage, target):
                volid = f"{storage}:{volume.name}"
                if volume.vmid != self.job.guest:
                    continue
                wanted = snapshot_name(self.job.id, last_sync)
                mine = [snap.name for snap in volume.snapshots if snap.name.startswith(prefix) and snap.name != wanted]
                if volid not in volumes:
                    if mine:
                        self._remote(f"{self.job.id}: delete stale volume '{volid}'")
                        cluster.storages.free(volid, target)
                elif mine and last_sync and volume.has_snapshot(wanted):
                    for name in mine:
                        self._remote(f"delete stale replication snapshot '{name}' on {volid}")
                        self._drop(volid, target, name)

    def _bases(self, volumes: list[str], last_sync: int, parent: str | None) -> dict[str, str]:
        """The newest snapshot that both sides have, told by its GUID."""
        storages = self.steps.cluster.storages
        bases, missing = {}, []
        for volid in volumes:
            here, there = storages.find(volid, self.steps.node.name), storages.find(volid, self.way.target.name)
            if here is None or there is None:
                continue
            known = {snap.name: snap.guid for snap in there.snapshots}
            common = [snap for snap in here.snapshots if known.get(snap.name) == snap.guid]
            names = [snap.name for snap in common]
            if (last := snapshot_name(self.job.id, last_sync)) in names:
                bases[volid] = last
            elif parent in names:
                bases[volid] = str(parent)
            elif common:
                bases[volid] = max(common, key=lambda snap: snap.created).name
            elif there.snapshots:
                missing.append(volid)
        if missing:
            raise Die(
                f"No common base snapshot on volume(s) {','.join(missing)}\nPlease remove the problematic volume(s) "
                f"from the replication target or delete and re-create the whole job {self.job.id}\n"
            )
        return bases

    def _remove(self, volumes: list[str], state: dict[str, Any], mode: str) -> Sim:
        """``remove_job``: the replicas too (``full``), or only the snapshots here (``local``)."""
        steps, cluster, job = self.steps, self.steps.cluster, self.job
        yield from self._find_way(None, True)
        target = self.way.target
        self.log(f"start job removal - mode '{mode}'")
        prefix = f"__replicate_{job.id}_"
        if mode == "full" and target is not steps.node:
            yield from steps.pause(0.6)
            stores = sorted({volid.partition(":")[0] for volid in volumes} | set(state.get("storeid_list", [])))
            if not target.up:
                yield from steps.pause(NO_ROUTE)
                self._remote(f"ssh: connect to host {self.way.address} port 22: No route to host")
                raise Die(
                    f"command '{self.way.ssh} -- pvesr prepare-local-job {job.id} --scan {','.join(stores)} "
                    "--last_sync 1 --force' failed: exit code 255"
                )
            self._mishap("prepare", f"{self.way.ssh} -- pvesr prepare-local-job {job.id} --last_sync 1 --force")
            for storage in stores:
                for volume in cluster.storages.volumes(storage, target.name):
                    names = [snap.name for snap in volume.snapshots if snap.name.startswith(prefix)]
                    if volume.vmid == job.guest and names:
                        volid = f"{storage}:{volume.name}"
                        for name in names:
                            self._remote(f"delete stale replication snapshot '{name}' on {volid}")
                        self._remote(f"{job.id}: delete stale volume '{volid}'")
                        cluster.storages.free(volid, target.name)
        for volid in volumes:
            for name in self._stale(volid, steps.node.name, ""):
                self.log(f"delete stale replication snapshot '{name}' on {volid}")
                self._drop(volid, steps.node.name, name)
        save(cluster, steps.node, {job.id: None})
        self.log("job removed")

    # ------------------------------------------------------------ small things

    def _mishap(self, phase: str, command: str) -> None:
        """A fault on demand: ``{task: replicate, vmid, phase, effect: {fail: text}}``."""
        effect = self.steps.cluster.faults.task("replicate", self.job.guest, phase)
        if effect is not None and effect.kind == "fail":
            if phase == "prepare":
                self._remote(effect.text)
            else:
                self.log(effect.text)
            raise Die(f"command '{command}' failed: exit code 255")

    def _remote(self, text: str) -> None:
        self.log(f"(remote_prepare_local_job) {text}")

    def _stale(self, volid: str, node: str, keep: str) -> list[str]:
        volume = self.steps.cluster.storages.find(volid, node)
        prefix = f"__replicate_{self.job.id}_"
        names = [snap.name for snap in volume.snapshots] if volume is not None else []
        return [name for name in names if name.startswith(prefix) and name != keep]

    def _drop(self, volid: str, node: str, name: str) -> bool:
        """Delete a snapshot; whether it was there."""
        volume = self.steps.cluster.storages.find(volid, node)
        if volume is None or not volume.has_snapshot(name):
            return False
        volume.snapshots = [snap for snap in volume.snapshots if snap.name != name]
        return True


def replication_way(cluster: Cluster) -> tuple[str | None, bool]:
    """Network, and whether ssh carries the data: ``replication`` of datacenter.cfg, else ``migration``."""
    options = cluster.options()
    values = parse_property_string(options.get("replication", options.get("migration", "")), "type")
    return values.get("network"), values.get("type", "secure") == "secure"


def snapshot_name(job: str, when: int) -> str:
    return f"__replicate_{job}_{when}__"


def written(cluster: Cluster, vmid: int, volume: Volume, since: float) -> int:
    """Bytes that the next delta has: what was noted, and what the running guest wrote since."""
    entry = cluster.guest(vmid)
    seconds = cluster.engine.now - since if entry is not None and cluster.is_running(entry) else 0.0
    return max(624, int(max(volume.dirty, volume.write_rate * seconds)))
