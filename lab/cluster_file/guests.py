# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``guests:``: configurations, volumes and processes of VMs and containers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from lab.cluster_file.reader import Map, as_bool, as_names, as_size, as_text, fail, suggestion
from lab.cluster_file.volumes import Disks, DiskSpec
from lab.guests.drives import EFI_SIZE, TPM_SIZE
from lab.guests.identifiers import mac, uuid
from lab.guests.keys import is_disk, known_key, known_keys
from lab.pve.cluster import Cluster
from lab.pve.formats import GuestConfig, parse_guest_config, print_guest_config
from lab.pve.node import Node, Running
from lab.pve.pmxcfs import guest_path
from lab.pve.releases import profile
from lab.pve.storage import Volume
from lab.pve.traits import Traits

_BRIDGE = re.compile(r"^[a-zA-Z][\w.-]*$")


@dataclass(slots=True)
class Guest:
    """A guest while the file is read; ``replicate`` and ``ha`` are read by the parts that own them."""

    vmid: int
    type: str
    node: Node
    spec: Map
    config: GuestConfig
    raw: bool
    replicate: Any = None
    ha: Any = None
    volumes: dict[str, tuple[str, Volume]] = field(default_factory=dict)
    """Storage and volume by configuration key."""


class GuestReader:
    """Reads all guests of a cluster file into a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._disks = Disks(cluster)
        self.guests: dict[int, Guest] = {}

    def read(self, top: Map) -> dict[int, Guest]:
        shared = top.take("guest_defaults") or {}
        Map("guest_defaults", shared)
        rows = list(Map("guests", top.take("guests")).rest())
        guests = [self._begin(key, value, shared) for key, value in rows]
        for guest in sorted(guests, key=lambda item: "clone_of" in item.spec.left()):
            self._read(guest)
        return self.guests

    # ------------------------------------------------------------ one guest

    def _begin(self, key: str, value: Any, shared: dict[str, Any]) -> Guest:
        where = f"guests.{key}"
        if not re.fullmatch(r"\d+", key) or not 100 <= int(key) <= 999_999_999:
            fail(where, f"'{key}' is not a guest ID (100 to 999999999)")
        own = Map(where, value)
        vmid = int(key)
        type = KINDS[own.choice("type", KINDS, str(shared.get("type", "vm")))]
        fitting = {name: item for name, item in shared.items() if name in SHORT_FORMS or known_key(type, name)}
        spec = Map(where, {**fitting, **dict(own.rest())})
        spec.take("type")
        name = spec.text("node")
        if name is None:
            if len(self._cluster.nodes) > 1:
                fail(where, "node is missing (on which node is the guest?)")
            name = next(iter(self._cluster.nodes))
        if name not in self._cluster.nodes:
            fail(spec.at("node"), f"unknown node '{name}'{suggestion(name, self._cluster.nodes)}")
        raw = spec.has("config")
        config = self._raw_config(spec, type) if raw else GuestConfig()
        guest = Guest(vmid, type, self._cluster.nodes[name], spec, config, raw)
        self.guests[vmid] = guest
        return guest

    def _read(self, guest: Guest) -> None:
        spec = guest.spec
        guest.ha, guest.replicate = spec.take("ha"), spec.take("replicate")
        self._disk_short_forms(guest)
        self._other_short_forms(guest)
        template = spec.flag("template") or guest.config.current.get("template") == "1"
        running = self._process_spec(guest, template)
        self._traits(guest)
        snapshots = spec.take("snapshots")
        pending = spec.take("pending")
        self._plain_keys(guest)
        if not guest.raw:
            self._fill_in(guest)
        self._ensure_volumes(guest)
        if template:
            self._make_template(guest)
        self._snapshots(guest, snapshots)
        for key, value in Map(spec.at("pending"), pending).rest():
            guest.config.pending[key] = self._value(spec.at("pending"), guest.type, key, value)
        self._cluster.fs.write(guest_path(guest.node.name, guest.type, guest.vmid), print_guest_config(guest.config))
        if running is not None:
            guest.node.running[guest.vmid] = running
        spec.done()

    def _raw_config(self, spec: Map, type: str) -> GuestConfig:
        value = spec.take("config")
        if isinstance(value, str):
            config = parse_guest_config(value)
        else:
            config = GuestConfig({key: as_text(f"{spec.at('config')}.{key}", item)
                                  for key, item in Map(spec.at("config"), value).rest()})  # fmt: skip
        for section in (config.current, config.pending, *config.snapshots.values()):
            for key in section:
                if not known_key(type, key):
                    fail(spec.at("config"), f"unknown key '{key}'{suggestion(key, known_keys(type))}")
        return config

    # ------------------------------------------------------------ disks

    def _disk_short_forms(self, guest: Guest) -> None:
        spec, content = guest.spec, "rootdir" if guest.type == "lxc" else "images"
        disks: dict[str, tuple[str, Any]] = {}
        if spec.has("disk"):
            disks["rootfs" if guest.type == "lxc" else "scsi0"] = spec.at("disk"), spec.take("disk")
        section = spec.map("disks")
        disks |= {key: (section.at(key), value) for key, value in section.rest()}
        disks |= {key: (spec.at(key), spec.take(key)) for key in spec.left() if is_disk(guest.type, key)}
        clone_of = spec.integer("clone_of")
        if clone_of is not None:
            disks = {
                key: (spec.at("clone_of"), disk) for key, disk in self._clone_disks(guest, clone_of).items()
            } | disks
        if not disks and not guest.raw and guest.type == "lxc":
            disks["rootfs"] = spec.at("disk"), "8G"
        for key, (where, value) in disks.items():
            if not is_disk(guest.type, key):
                fail(where, f"'{key}' is not a disk of a {'container' if guest.type == 'lxc' else 'VM'}")
            guest.config.current[key] = self._disk(guest, where, key, value, content)
        for key, size in (("efidisk", EFI_SIZE), ("tpm", TPM_SIZE)):
            if spec.has(key):
                storage = spec.text(key)
                extra = {"efitype": "4m", "pre-enrolled-keys": "1"} if key == "efidisk" else {"version": "v2.0"}
                disk = DiskSpec(storage, size, size, None, 0.0, extra)
                slot = "efidisk0" if key == "efidisk" else "tpmstate0"
                guest.config.current[slot] = self._disks.create(
                    spec.at(key), guest.node.name, guest.vmid, guest.type, slot, disk
                )
        if spec.has("iso"):
            guest.config.current["ide2"] = f"{spec.text('iso')},media=cdrom"
        if spec.has("cloudinit"):
            storage = spec.text("cloudinit")
            value = self._disks.cloudinit(spec.at("cloudinit"), guest.node.name, guest.vmid, storage)
            guest.config.current["ide2" if "ide2" not in guest.config.current else "ide0"] = value

    def _disk(self, guest: Guest, where: str, key: str, value: Any, content: str) -> str:
        if isinstance(value, tuple):
            disk, base = value
            return self._disks.create(where, guest.node.name, guest.vmid, guest.type, key, disk, base)
        text = value if isinstance(value, str) else ""
        first = text.partition(",")[0]
        if first in {"none", "cdrom"} or first.startswith("/") or re.search(r"[-/].*\d|iso/", first.partition(":")[2]):
            return text
        disk = self._disks.read(where, value, content)
        if guest.type == "lxc" and key.startswith("mp") and "mp" not in disk.options:
            disk.options["mp"] = f"/mnt/{key}"
        made = self._disks.create(where, guest.node.name, guest.vmid, guest.type, key, disk)
        return made.partition(",")[0] if key.startswith("unused") else made

    def _clone_disks(self, guest: Guest, clone_of: int) -> dict[str, Any]:
        where = guest.spec.at("clone_of")
        template = self.guests.get(clone_of)
        if template is None or template.config.current.get("template") != "1":
            fail(where, f"guest {clone_of} is not a template of this file")
        disks = {}
        for key, (storage, base) in template.volumes.items():
            if template.node is not guest.node and not self._cluster.storages.is_shared(storage):
                fail(where, f"the template's storage '{storage}' is local to node '{template.node.name}'")
            if base.name.rpartition("/")[2].startswith(("base-", "basevol-")):
                disks[key] = DiskSpec(storage, base.size, None, base.format, 0.0, {}), base
        return disks

    def _ensure_volumes(self, guest: Guest) -> None:
        config, where = guest.config, guest.spec.where
        sections = [("", config.current), *((f" of snapshot {name}", values) for name, values in
                                            config.snapshots.items())]  # fmt: skip
        for label, section in sections:
            for key, value in section.items():
                if is_disk(guest.type, key) or key in {"vmstate", "hookscript"}:
                    place = f"{where}.{key}{label}"
                    volume = self._disks.ensure(place, guest.node.name, guest.type, guest.vmid, value)
                    if volume is not None and not label and key != "hookscript":
                        guest.volumes[key] = value.partition(":")[0], volume
                    if volume is not None and label and is_disk(guest.type, key) and volume.vmid is not None:
                        name = label.rpartition(" ")[2]
                        created = float(section.get("snaptime", self._cluster.engine.epoch))
                        self._disks.snapshot(volume, name, created)

    def _make_template(self, guest: Guest) -> None:
        guest.config.current["template"] = "1"
        for key, (storage, volume) in guest.volumes.items():
            if volume.vmid == guest.vmid and "cloudinit" not in volume.name:
                old = volume.name
                new = self._disks.make_base(guest.node.name, storage, volume)
                value = guest.config.current[key]
                guest.config.current[key] = value.replace(f"{storage}:{old}", f"{storage}:{new}", 1)

    def _snapshots(self, guest: Guest, value: Any) -> None:
        """Short form: a list of names, oldest first, or name → {age, description, ram}."""
        if isinstance(value, list | str):
            value = {name: {} for name in as_names(guest.spec.at("snapshots"), value)}
        specs = Map(guest.spec.at("snapshots"), value)
        parent = guest.config.current.get("parent")
        for number, (name, spec) in enumerate(specs.items()):
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,39}", name):
                fail(spec.where, f"'{name}' is not a snapshot name (a letter, then letters, digits, '_' or '-')")
            created = int(self._cluster.engine.epoch - spec.age("age", 86400.0 * (10 - min(number, 9))))
            section = {key: item for key, item in guest.config.current.items()
                       if not key.startswith("unused") and key not in {"lock", "parent"}}  # fmt: skip
            section["snaptime"] = str(created)
            if parent:
                section["parent"] = parent
            if spec.has("description"):
                section["description"] = spec.text("description") + "\n"
            if spec.flag("ram") and guest.type == "qemu":
                section |= self._vmstate(guest, spec, name)
            spec.done()
            guest.config.snapshots[name] = section
            parent = name
            for _storage, volume in guest.volumes.values():
                if volume.vmid == guest.vmid and "cloudinit" not in volume.name:
                    self._disks.snapshot(volume, name, created)
        if parent:
            guest.config.current["parent"] = parent

    def _vmstate(self, guest: Guest, spec: Map, name: str) -> dict[str, str]:
        if not guest.volumes:
            fail(spec.at("ram"), "the VM has no disk, so there is no storage for its RAM")
        storage = next(iter(guest.volumes.values()))[0]
        files = self._disks.kind(spec.where, storage).files
        stem = f"vm-{guest.vmid}-state-{name}"
        volume = f"{guest.vmid}/{stem}.raw" if files else stem
        size = int(guest.config.current.get("memory", "512").partition("=")[2] or
                   guest.config.current.get("memory", "512")) * 2 + 500  # fmt: skip
        self._disks.put(spec.where, storage, guest.node.name,
                        Volume(volume, "images", "raw", size * 2**20, size * 2**18, guest.vmid))  # fmt: skip
        machine, _qemu = newest_machine(guest.node, guest.config.current.get("machine", ""))
        return {"vmstate": f"{storage}:{volume}", "runningmachine": machine, "runningcpu": "kvm64,enforce"}

    # ------------------------------------------------------------ everything else

    def _other_short_forms(self, guest: Guest) -> None:
        spec, current = guest.spec, guest.config.current
        if spec.has("name"):
            current["hostname" if guest.type == "lxc" else "name"] = spec.text("name")
        if spec.has("memory"):
            value = spec.take("memory")
            text = as_text(spec.at("memory"), value)
            if re.fullmatch(r"\d+(\.\d+)?[KMGT].*", text):
                text = str(as_size(spec.at("memory"), text) // 2**20)
            elif not re.fullmatch(r"(current=)?\d+", text):
                fail(spec.at("memory"), f"'{text}' is not an amount of memory (examples: 2048, 4G)")
            current["memory"] = text
        if spec.has("tags"):
            current["tags"] = ";".join(spec.names("tags"))
        nets = spec.rows("net") if spec.has("net") else []
        for index, net in enumerate(nets):
            current[f"net{index}"] = self._net(guest, index, as_text(spec.at("net"), net))

    def _net(self, guest: Guest, index: int, value: str) -> str:
        """``vmbr0`` or ``vmbr0,tag=20`` → a full network device; anything with a model stays as it is."""
        bridge, _comma, rest = value.partition(",")
        if not _BRIDGE.match(bridge):
            return value
        more = f",{rest}" if rest else ""
        if guest.type == "lxc":
            return f"name=eth{index},bridge={bridge},hwaddr={mac(guest.vmid, index)},ip=dhcp{more},type=veth"
        return f"virtio={mac(guest.vmid, index)},bridge={bridge}{more}"

    def _plain_keys(self, guest: Guest) -> None:
        """Whatever is left must be keys of the configuration itself."""
        for key in guest.spec.left():
            guest.config.current[key] = self._value(guest.spec.where, guest.type, key, guest.spec.take(key))

    def _value(self, where: str, type: str, key: str, value: Any) -> str:
        if not known_key(type, key):
            what = "containers have no key" if type == "lxc" and known_key("qemu", key) else "unknown key"
            fail(where, f"{what} '{key}'{suggestion(key, known_keys(type) | SHORT_FORMS)}")
        text = as_text(f"{where}.{key}", value)
        return text + "\n" if key == "description" and not text.endswith("\n") else text

    def _fill_in(self, guest: Guest) -> None:
        """What the web interface would have put into a new guest."""
        current, vmid, node = guest.config.current, guest.vmid, guest.node
        created = int(self._cluster.engine.epoch - 90 * 86400)
        if guest.type == "lxc":
            defaults = {
                "arch": "amd64", "cores": "1", "hostname": f"ct{vmid}", "memory": "512", "ostype": "debian",
                "swap": "512", "unprivileged": "1",
            }  # fmt: skip
        else:
            disks = [key for key in current if is_disk("qemu", key, unused=False) and key not in
                     {"efidisk0", "tpmstate0"} and "media=cdrom" not in current[key]]  # fmt: skip
            defaults = {
                "boot": f"order={disks[0]}" if disks else "", "cores": "2", "cpu": "x86-64-v2-AES", "memory": "2048",
                "meta": f"creation-qemu={profile(node.release).qemu},ctime={created}", "name": f"vm{vmid}",
                "numa": "0", "ostype": "l26", "scsihw": "virtio-scsi-single", "smbios1": f"uuid={uuid(vmid, 'smbios')}",
                "sockets": "1", "vmgenid": uuid(vmid, "vmgenid"),
            }  # fmt: skip
            if "efidisk0" in current:
                defaults["bios"] = "ovmf"
        if not any(key.startswith("net") for key in current):
            bridge = next((nic.iface for nic in node.nics if nic.type in {"bridge", "OVSBridge"}), None)
            if bridge:
                defaults["net0"] = self._net(guest, 0, bridge)
        for key, value in defaults.items():
            if value:
                current.setdefault(key, value)

    def _process_spec(self, guest: Guest, template: bool) -> Running | None:
        spec, node = guest.spec, guest.node
        has_process = {"machine", "qemu", "started", "qmpstatus"}
        value = spec.take("running", not template)
        details = Map(spec.at("running"), value if isinstance(value, dict) else {})
        if not (isinstance(value, dict) or as_bool(spec.at("running"), value)) or not node.powered:
            return None
        if template:
            fail(spec.at("running"), "a template cannot run")
        configured = guest.config.current.get("machine", "")
        if not configured and spec.has("machine"):
            configured = guest.config.current["machine"] = spec.text("machine")
        machine, qemu = newest_machine(node, configured)
        started = self._cluster.engine.epoch - details.age("started", 5 * 86400)
        running = Running(
            guest.vmid, guest.type, node.new_pid(), max(started, node.boot_time),
            details.text("qmpstatus", "running"),
            details.text("machine", machine) if guest.type == "qemu" else "",
            details.text("qemu", qemu) if guest.type == "qemu" else "",
        )  # fmt: skip
        details.done(has_process)
        return running

    def _traits(self, guest: Guest) -> None:
        spec, base = guest.spec, Traits()
        shutdown: float | None = base.shutdown_seconds
        if spec.has("shutdown"):
            value = spec.take("shutdown")
            shutdown = None if value in ("never", False) else Map(spec.where, {"shutdown": value}).age("shutdown")
        traits = Traits(
            spec.size("memory_used"), spec.rate("dirty_rate", base.dirty_rate), spec.size("working_set"), shutdown,
            spec.number("cpu_load", base.cpu_load),
        )  # fmt: skip
        if traits != base:
            self._cluster.traits[guest.vmid] = traits


KINDS = {"vm": "qemu", "qemu": "qemu", "ct": "lxc", "lxc": "lxc"}
SHORT_FORMS = frozenset(
    "type node name config disk disks efidisk tpm iso cloudinit clone_of template running snapshots pending net tags "
    "memory memory_used dirty_rate working_set shutdown cpu_load ha replicate lock".split()
)


def newest_machine(node: Node, configured: str) -> tuple[str, str]:
    """``(running machine, QEMU version)`` of a VM that a node starts now; ``configured``: its ``machine`` property."""
    base = profile(node.release)
    model = configured.partition(",")[0].removeprefix("type=")
    if re.search(r"-\d", model):
        return (model if "+pve" in model else f"{model}+pve0"), node.qemu
    kind = "q35" if "q35" in model else "i440fx"
    return f"pc-{kind}-{base.machine[0]}.{base.machine[1]}+pve{base.machine_level}", node.qemu
