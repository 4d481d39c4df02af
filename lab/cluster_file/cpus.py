# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU models by short name, as ``/proc/cpuinfo`` describes them."""

from __future__ import annotations

from dataclasses import replace

from lab.cluster_file.reader import Map, as_names, fail, suggestion
from lab.pve.node import Cpu

_V2 = (
    "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 ht syscall nx "
    "pdpe1gb rdtscp lm constant_tsc rep_good nopl cpuid pni pclmulqdq ssse3 cx16 sse4_1 sse4_2 x2apic popcnt aes xsave "
    "lahf_lm arat"
)
_AVX = f"{_V2} avx f16c rdrand fsgsbase smep erms xsaveopt"
_V3 = f"{_AVX} fma movbe abm 3dnowprefetch bmi1 avx2 bmi2 rdseed adx smap"
_V4 = "avx512f avx512dq avx512cd avx512bw avx512vl"
_INTEL = (
    "dts acpi ss tm pbe arch_perfmon pebs bts nonstop_tsc dtes64 monitor ds_cpl vmx est tm2 pcid tpr_shadow ept vpid"
)
_AMD = "mmxext fxsr_opt svm extapic cr8_legacy sse4a misalignsse osvw ibs topoext perfctr_core npt lbrv nrip_save"
_SKYLAKE = f"{_V3} {_INTEL} hle rtm mpx clflushopt clwb xsavec xgetbv1 xsaves pku ospke {_V4}"
_ICELAKE = (
    f"{_V3} {_INTEL} clflushopt clwb sha_ni xsavec xgetbv1 xsaves pku ospke umip {_V4} avx512ifma avx512vbmi "
    "avx512_vbmi2 gfni vaes vpclmulqdq avx512_vnni avx512_bitalg avx512_vpopcntdq rdpid"
)
_SAPPHIRE = (
    f"{_ICELAKE} avx_vnni avx512_bf16 avx512_fp16 amx_bf16 amx_tile amx_int8 serialize tsxldtrk cldemote movdiri"
)
_ROME = f"{_V3} {_AMD} clflushopt clwb sha_ni xsavec xgetbv1 xsaves clzero rdpru wbnoinvd umip rdpid"
_MILAN = f"{_ROME} pcid invpcid pku ospke vaes vpclmulqdq fsrm"
_GENOA = (
    f"{_MILAN} {_V4} avx512ifma avx512vbmi avx512_vbmi2 gfni avx512_vnni avx512_bitalg avx512_vpopcntdq avx512_bf16"
)


def _intel(model: str, flags: str, cores: int, mhz: str, sockets: int = 1, threads: int = 2) -> Cpu:
    return Cpu(model, "GenuineIntel", "6", flags, sockets, cores * sockets, cores * sockets * threads, mhz)


def _amd(model: str, family: str, flags: str, cores: int, mhz: str, sockets: int = 1) -> Cpu:
    return Cpu(model, "AuthenticAMD", family, flags, sockets, cores * sockets, cores * sockets * 2, mhz)


PRESETS: dict[str, Cpu] = {
    "xeon-e5-2680v2": _intel("Intel(R) Xeon(R) CPU E5-2680 v2 @ 2.80GHz", f"{_AVX} {_INTEL}", 10, "2800.000", 2),
    "xeon-e5-2680v4": _intel("Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz", f"{_V3} {_INTEL} hle rtm", 14, "2400.000", 2),
    "xeon-gold-6148": _intel("Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz", _SKYLAKE, 20, "2400.000", 2),
    "xeon-gold-6338": _intel("Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz", _ICELAKE, 32, "2000.000", 2),
    "xeon-gold-6430": _intel("Intel(R) Xeon(R) Gold 6430", _SAPPHIRE, 32, "2100.000", 2),
    "core-i5-8500": _intel(
        "Intel(R) Core(TM) i5-8500 CPU @ 3.00GHz", f"{_V3} {_INTEL} clflushopt", 6, "3000.000", threads=1
    ),
    "n100": _intel("Intel(R) N100", f"{_V3} {_INTEL} sha_ni gfni vaes", 4, "806.000", threads=1),
    "epyc-7302": _amd("AMD EPYC 7302 16-Core Processor", "23", _ROME, 16, "3000.000"),
    "epyc-7543": _amd("AMD EPYC 7543 32-Core Processor", "25", _MILAN, 32, "2800.000"),
    "epyc-9354": _amd("AMD EPYC 9354 32-Core Processor", "25", _GENOA, 32, "3250.000"),
}
DEFAULT = "xeon-gold-6338"


def read_cpu(where: str, value: object) -> Cpu:
    """A preset's name, or a mapping with ``preset`` and what differs from it."""
    if value is None:
        return replace(PRESETS[DEFAULT])
    if isinstance(value, str):
        return _preset(where, value)
    spec = Map(where, value)
    cpu = _preset(spec.at("preset"), spec.text("preset", DEFAULT))
    cpu.model = spec.text("model", cpu.model)
    cpu.vendor = spec.text("vendor", cpu.vendor)
    cpu.family = spec.text("family", cpu.family)
    cpu.mhz = spec.text("mhz", cpu.mhz)
    cpu.sockets = spec.integer("sockets", cpu.sockets, minimum=1)
    cpu.cores = spec.integer("cores", cpu.cores, minimum=1)
    cpu.cpus = spec.integer("cpus", max(cpu.cores, cpu.cpus) if not spec.has("cores") else cpu.cores * 2, minimum=1)
    flags = as_names(spec.at("flags"), spec.take("flags")) or cpu.flags.split()
    removed = set(spec.names("without"))
    for flag in removed - set(flags):
        fail(spec.at("without"), f"the CPU has no flag '{flag}'{suggestion(flag, flags)}")
    flags = [flag for flag in dict.fromkeys(flags + spec.names("with")) if flag not in removed]
    cpu.flags = " ".join(flags)
    spec.done()
    return cpu


def _preset(where: str, name: str) -> Cpu:
    if name not in PRESETS:
        fail(where, f"no CPU preset '{name}'{suggestion(name, PRESETS)}")
    cpu = replace(PRESETS[name])
    cpu.flags = " ".join(dict.fromkeys(cpu.flags.split()))
    return cpu
