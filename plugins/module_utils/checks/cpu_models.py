# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the processor of a node must have for a CPU type, in the words of /proc/cpuinfo.

Only flags that tell generations and vendors apart, and that the kernel shows under one certain name: a type that is
judged to run may still lack something small, one that is judged not to run does not run.
"""

from __future__ import annotations

import re
from functools import cache

_V2 = frozenset("cx16 lahf_lm pni popcnt sse4_1 sse4_2 ssse3".split())
_V3 = _V2 | frozenset("abm avx avx2 bmi1 bmi2 f16c fma movbe xsave".split())
_V4 = _V3 | frozenset("avx512bw avx512cd avx512dq avx512f avx512vl".split())
_WESTMERE = _V2 | {"aes"}
_SANDY = _WESTMERE | {"avx", "xsave"}
_IVY = _SANDY | {"f16c", "rdrand"}
_HASWELL = _V3 | {"aes"}
_BROADWELL = _HASWELL | {"adx", "rdseed", "smap"}
_SKYLAKE = _BROADWELL | {"clflushopt"}
_SERVER = _SKYLAKE | _V4 | {"pku"}
_ICELAKE = _SERVER | {"avx512vbmi", "gfni", "vaes"}
_NAPLES = _BROADWELL | {"clflushopt", "misalignsse", "sha_ni", "sse4a"}
_ROME = _NAPLES | {"clwb", "clzero", "umip"}
_MILAN = _ROME | {"pku"}

MODELS: dict[str, frozenset[str]] = {
    "kvm64": frozenset({"lahf_lm", "pni"}),
    "x86-64-v2": _V2,
    "x86-64-v2-AES": _WESTMERE,
    "x86-64-v3": _V3,
    "x86-64-v4": _V4,
    "core2duo": frozenset({"pni", "ssse3"}),
    "Conroe": frozenset({"pni", "ssse3"}),
    "Penryn": frozenset({"cx16", "pni", "sse4_1", "ssse3"}),
    "Nehalem": _V2,
    "Westmere": _WESTMERE,
    "SandyBridge": _SANDY,
    "IvyBridge": _IVY,
    "Haswell": _HASWELL,
    "Broadwell": _BROADWELL,
    "Skylake-Client": _SKYLAKE,
    "Skylake-Server": _SERVER,
    "Cascadelake-Server": _SERVER | {"avx512_vnni"},
    "Cooperlake": _SERVER | {"avx512_bf16", "avx512_vnni"},
    "Icelake-Server": _ICELAKE,
    "SapphireRapids": _ICELAKE | {"amx_tile", "avx512_bf16", "avx512_fp16"},
    "GraniteRapids": _ICELAKE | {"amx_fp16", "amx_tile", "avx512_bf16", "avx512_fp16"},
    "Opteron_G3": frozenset({"cx16", "misalignsse", "popcnt", "sse4a"}),
    "Opteron_G4": _V2 | {"aes", "avx", "fma4", "sse4a", "xop"},
    "Opteron_G5": _V2 | {"aes", "avx", "f16c", "fma", "fma4", "sse4a", "tbm", "xop"},
    "EPYC": _NAPLES,
    "EPYC-Rome": _ROME,
    "EPYC-Milan": _MILAN,
    "EPYC-Genoa": _MILAN | _V4 | {"avx512_bf16", "avx512vbmi", "gfni", "vaes"},
}
_TSX = frozenset({"hle", "rtm"})
_WITH_TSX = frozenset({"Haswell", "Broadwell", "Skylake-Client", "Skylake-Server", "Cascadelake-Server"})
"""Those whose first version has transactional memory, which newer processors and microcode have not."""
_VERSION = re.compile(r"-v\d+$")
_ADDED = frozenset({"aes", "pcid", "pdpe1gb", *(flag for flags in MODELS.values() for flag in flags), *_TSX})
"""Flags that may be added to a type and are judged; others are made by KVM, or have several names."""

PASSES_THROUGH = frozenset({"host", "max"})
"""Types that give the guest the processor of its node."""
HOST_ONLY = frozenset(
    """
    acpi aperfmperf arat arch_capabilities arch_lbr arch_perfmon avic bpext bts cat_l2 cat_l3 cdp_l2 cdp_l3 constant_tsc
    cpb cpuid cpuid_fault cqm cqm_llc cqm_mbm_local cqm_mbm_total cqm_occup_llc cr8_legacy dca debug_swap decodeassists
    ds_cpl dtes64 dtherm dts ept ept_ad epb est extapic extd_apicid flexpriority flush_l1d flushbyasid hfi ht hw_pstate
    hwp hwp_act_window hwp_epp hwp_notify hwp_pkg_req ibrs ibrs_enhanced ibs ibt ida invtsc irperf lbrv mba mce md_clear
    monitor mwaitx nonstop_tsc nopl npt nrip_save ospke overflow_recov pausefilter pbe pconfig pdcm pebs perfctr_core
    perfctr_llc perfctr_nb perfmon_v2 pfthreshold pln pti ptsc pts rapl rdt_a rep_good ring3mwait sdbg sev sev_es
    sev_snp skinit sme smca split_lock_detect stibp succor svm_lock syscall tm tm2 tme topoext tpr_shadow
    tsc_deadline_timer tsc_known_freq tsc_scale user_shstk v_spec_ctrl v_vmsave_vmload vgif vmcb_clean vnmi vpid vte wdt
    x2apic x2avic xtopology xtpr
    """.split()
)
"""Flags of a node that guests do not get, that KVM makes itself, or that come and go with the kernel."""


@cache
def needed(name: str, flags: tuple[str, ...] = ()) -> frozenset[str]:
    """Flags that a node must have for a type with flags as ``+aes``; none for types that are not known."""
    plain = name if name in MODELS else _VERSION.sub("", name)
    dated = plain != name
    for suffix in ("-IBRS", "-IBPB"):
        plain = plain.removesuffix(suffix)
    without_tsx = plain.endswith("-noTSX")
    plain = plain.removesuffix("-noTSX")
    found = set(MODELS.get(plain, ()))
    if plain in _WITH_TSX and not without_tsx and not dated:
        found |= _TSX
    for flag in flags:
        word = flag[1:].replace("-", "_").replace(".", "_")
        if flag.startswith("-"):
            found.discard(word)
        elif word in _ADDED:
            found.add(word)
    return frozenset(found)
