# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A snapshot for a bug report: everything that names people, places or machines is replaced, everything else kept.

The same name gets the same replacement everywhere, in error texts and UPIDs too, and the same snapshot always gives the
same result. Addresses keep their prefixes in common, so that networks still hold the addresses that were in them.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re

from ansible_collections.pve.mobility.plugins.module_utils.model.codec import visited
from ansible_collections.pve.mobility.plugins.module_utils.model.state import ClusterState

REMOVED = "(removed)"

_PREFIXES = {
    "node": "node",
    "guest": "guest",
    "storage": "storage",
    "cluster": "cluster",
    "pool": "pool",
    "tag": "tag",
    "bridge": "net",
    "zone": "zone",
    "mapping": "mapping",
    "rule": "rule",
    "user": "user",
    "job": "job",
    "snapshot": "snapshot",
    "cpu": "custom-cpu",
    "host": "host",
    "part": "dir",
    "file": "file",
}
_KEPT = {
    "bridge": re.compile(r"^(?:vmbr|bond|eth|eno|ens|enp|enx|lo|tap|nic)[\d.spfxnav]*$"),
    "cpu": re.compile(r"^(?!custom-)"),
    "part": re.compile(
        r"^(?:|data|dev|etc|lib|local|mnt|pve|rpool|srv|usr|var|vz|zvol|none|\d+|[\dA-Fa-f:.]*[:.][\dA-Fa-f:.]*)$"
    ),
    "user": re.compile(r"^root@pam(?:!.*)?$"),
}
_VOLUME = re.compile(r"^(?:vm|base|subvol|basevol)-\d+-(?:disk-\d+|cloudinit)(?:\.\w+)?$")
_STATE = re.compile(r"^(vm-\d+-state-)(.+?)(\.\w+)?$")
_CONTENT = frozenset({"iso", "vztmpl", "snippets", "import", "backup"})
_IP = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4})(?:/\d{1,3})?(?![\w:])"
)
_MAC = re.compile(r"\b(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}\b")
_QUOTED = re.compile(r"(?<!\w)'[^'\n]*'(?!\w)|\"[^\"\n]*\"")
_TOKEN = re.compile(
    rf"(?P<mac>{_MAC.pattern})|(?P<ip>{_IP.pattern})"
    r"|(?P<host>(?:(?<=\bhost )|(?<=\buser )|(?<=info for: ))\w[\w-]*(?:\.\w[\w-]*)*(?![\w@]))"
    r"|(?P<path>(?:[\w.@:+-]*/)+[\w.@+-]*)"
    r"|(?P<account>[\w.+-]+@[\w.-]+(?:![\w.-]+)?)"
    r"|(?P<word>\w(?:[\w.-]*\w)?)"
)
_PLAIN = re.compile(
    r"\w{1,3}|[\d.:+-]+|__[\w-]+__|\d+\.(?:conf|fw)"
    r"|(?:efidisk|hostpci|ide|mp|net|sata|scsi|serial|tpmstate|unused|usb|virtio|virtiofs)\d+"
)
"""Short words, numbers, what replication and migration call their snapshots, files and keys of guests."""
_GUESTS = re.compile(r"(?:\d+(?:-[a-z]+\d+)?)?(?:>\d+-[a-z]+\d+)?")
_HOST = re.compile(r"(?:[\w-]+\.)+[a-z]{2,}")
_FILE = re.compile(r"\.(?:cfg|conf|img|iso|log|pid|pl|pm|qcow2|raw|service|sh|sock|socket|target|timer|vmdk)$")
_COMMAND = frozenset(
    """
    bash batchmode blowfish export finalize-local-job from full globalknownhostsfile guest hostkeyalias http https
    import import-bwlimit local lxc migrate mtunnel no none openvz pct pipefail port prepare-local-job proxmox-ve
    pve-manager pvecm pvesm pvesr qcow2 qemu qemu-server qm raw recv replication root run send set snapshot ssh
    start stop storage subvol true userknownhostsfile vm vmdk with-local-disks with-snapshots yes zfs zpool
    """.split()
)


def anonymize(state: ClusterState) -> ClusterState:
    """The same cluster under other names."""
    names = _Names(state)
    return visited(state, names.replace)


class _Names:
    """Collects first, so that the numbers do not depend on the order in which names are met."""

    def __init__(self, state: ClusterState) -> None:
        self._seen: dict[str, set[str]] = {kind: set() for kind in _PREFIXES}
        visited(state, self._collect)
        self._new: dict[tuple[str, str], str] = {}
        for kind, found in self._seen.items():
            for number, name in enumerate(sorted(found, key=_natural), 1):
                self._new[kind, name] = f"{_PREFIXES[kind]}{number}"
        self._made = frozenset(self._new.values())
        self._words = self._by_word()
        self._key = hashlib.sha256("\0".join(sorted(self._words)).encode()).digest()

    def _by_word(self) -> dict[str, str]:
        """For running text, where the kind of a word is not known: nodes before guests, and so on."""
        found: dict[str, str] = {}
        for (kind, name), new in self._new.items():
            if kind not in ("part", "file", "tag"):
                found.setdefault(name, new)
        return found

    # ------------------------------------------------ collect

    def _collect(self, kind: str, text: str) -> str:
        match kind:
            case "volume":
                self._collect_volume(text)
            case "path":
                for part in text.split("/"):
                    self._add("part", part)
            case "address":
                for part in re.split(r"[\s,;]+", text):
                    if not _IP.search(part) and not _MAC.search(part):
                        self._add("host", part)
            case "upid":
                parts = text.split(":")
                if len(parts) > 7:
                    self._add("node", parts[1])
                    self._add("user", parts[7])
            case _ if kind in _PREFIXES:
                self._add(kind, text)
        return text

    def _collect_volume(self, text: str) -> None:
        storage, colon, rest = text.partition(":")
        if colon:
            self._add("storage", storage)
        for part in (rest if colon else text).split("/"):
            if match := _STATE.match(part):
                self._add("snapshot", match[2])
            elif not _VOLUME.match(part) and part not in _CONTENT and part != "cdrom":
                self._add("part" if not colon else "file", part)

    def _add(self, kind: str, name: str) -> None:
        kept = _KEPT.get(kind)
        if name and not (kept and kept.match(name)) and not (kind == "file" and name.isdigit()):
            self._seen[kind].add(name)

    # ------------------------------------------------ replace

    def replace(self, kind: str, text: str) -> str:
        match kind:
            case "":
                return text
            case "comment":
                return REMOVED if text else ""
            case "sentence":
                return self._sentence(text)
            case "subject":
                return self._subject(text)
            case "volume":
                return self._volume(text)
            case "path":
                return self._path(text)
            case "address":
                return "".join(self._address(part) for part in re.split(r"([\s,;]+)", text))
            case "upid":
                return self._upid(text)
            case _:
                return self._new.get((kind, text), text)

    def _volume(self, text: str) -> str:
        storage, colon, rest = text.partition(":")
        if not colon:
            return self._path(text)
        return f"{self.replace('storage', storage)}:{'/'.join(self._volume_part(part) for part in rest.split('/'))}"

    def _volume_part(self, part: str) -> str:
        if match := _STATE.match(part):
            return f"{match[1]}{self.replace('snapshot', match[2])}{match[3] or ''}"
        new = self._new.get(("file", part))
        suffix = re.search(r"\.\w{2,5}$", part)
        return part if new is None else new + (suffix[0] if suffix else "")

    def _path(self, text: str) -> str:
        return "/".join(self._new.get(("part", part), part) for part in text.split("/"))

    def _upid(self, text: str) -> str:
        parts = text.split(":")
        if len(parts) <= 7:
            return REMOVED
        parts[1], parts[7] = self.replace("node", parts[1]), self.replace("user", parts[7])
        parts[6] = self._subject(parts[6])
        return ":".join(parts)

    def _subject(self, text: str) -> str:
        """What a task is about: a guest, its disks, or anything that has a name."""
        return text if _GUESTS.fullmatch(text) else self._words_of(text, strict=True)

    def _sentence(self, text: str) -> str:
        """What is quoted is mostly a name or a command, so nothing stays of it but what is known to be none."""
        found, last = [], 0
        for quoted in _QUOTED.finditer(text):
            found += [self._words_of(text[last : quoted.start()]), self._words_of(quoted[0], strict=True)]
            last = quoted.end()
        return "".join([*found, self._words_of(text[last:])])

    def _words_of(self, text: str, strict: bool = False) -> str:
        """In one go, so that a name that was put in is not taken for one of the cluster's own."""
        return _TOKEN.sub(lambda match: self._token(match.lastgroup or "", match[0], strict), text)

    def _token(self, kind: str, text: str, strict: bool) -> str:
        match kind:
            case "mac":
                return self._mac(text)
            case "ip":
                return self._address(text)
            case "path":
                return "/".join(self._part(part) for part in text.split("/"))
            case "account":
                return self._account(text)
            case "host":
                return self._word(text) or REMOVED
        known = self._word(text)
        if known is not None:
            return known
        strange = not _common(text) if strict else _HOST.fullmatch(text) and not _FILE.search(text)
        return REMOVED if strange else text

    def _word(self, word: str) -> str | None:
        """A name, or a host name that begins with one."""
        label, dot, _domain = word.partition(".")
        return self._words.get(word) or (self._words.get(label) if dot else None)

    def _account(self, text: str) -> str:
        """``user@realm!token``, an address of mail, ``root@host``, or ``volume@snapshot``."""
        user, _at, rest = text.partition("@")
        known = self._new.get(("user", text)) or self._new.get(("user", text.partition("!")[0]))
        if known is not None:
            return known
        return f"{self._part(user)}@{self._part(rest)}"

    def _part(self, part: str) -> str:
        """Of a path that no field may name."""
        name, at, snapshot = part.partition("@")
        if at:
            return f"{self._part(name)}@{self._part(snapshot)}"
        if _IP.fullmatch(part):
            return self._address(part)
        if ":" in part:
            return ":".join(self._part(item) for item in part.split(":"))
        if _STATE.match(part):
            return self._volume_part(part)
        new = self._new.get(("part", part)) or self._new.get(("file", part)) or self._word(part)
        return new or (part if _common(part) else REMOVED)

    def _address(self, text: str) -> str:
        if _MAC.fullmatch(text):
            return self._mac(text)
        head, slash, prefix = text.partition("/")
        try:
            address = ipaddress.ip_address(head)
        except ValueError:
            return self._new.get(("host", text), text)
        bits = address.max_prefixlen
        # A network stays one: the bits after its prefix are all zero.
        length = int(prefix) if slash and prefix.isdigit() and int(prefix) <= bits else bits
        number = int(address)
        is_network = length < bits and number & ((1 << (bits - length)) - 1) == 0
        new = self._scramble(number, bits, length if is_network else bits)
        made = ipaddress.IPv4Address(new) if bits == 32 else ipaddress.IPv6Address(new)
        return f"{made}{slash}{prefix}"

    def _scramble(self, number: int, bits: int, length: int) -> int:
        """Each bit is turned or not by what stands before it: prefixes in common stay in common."""
        result = 0
        for position in range(length):
            shift = bits - 1 - position
            before = number >> (shift + 1)
            seed = self._key + f"{bits}/{position}/{before}".encode()
            turned = hashlib.sha256(seed).digest()[0] & 1
            result |= (((number >> shift) & 1) ^ turned) << shift
        return result

    def _mac(self, text: str) -> str:
        digest = hashlib.sha256(self._key + text.upper().encode()).digest()
        return ":".join(f"{byte:02X}" for byte in (0x02, *digest[:5]))


_API = re.compile(
    r"^(?:nodes|cluster|qemu|lxc|config|status|storage|network|replication|apt|versions|options|ha|rules|resources|groups"
    r"|manager_status|current|mapping|pci|usb|dir|backup|sdn|vnets|zones|tasks|vms|access|capabilities|machines|log|time)$"
)
"""Words of the API's own paths, which say what was asked and nothing about the cluster."""


def _common(word: str) -> bool:
    """Whether a word says nothing about the cluster."""
    return bool(
        _PLAIN.fullmatch(word)
        or _VOLUME.match(word)
        or _KEPT["part"].match(word)
        or _API.match(word)
        or word.lower() in _COMMAND
    )


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"\d+|\D+", name)]
