# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep the bytecode of what is imported from an archive, as Python by itself keeps that of files.

Ansible sends a module and all that it imports as a zip, from which Python compiles each of a hundred files anew: half
of the processor time of a module, and the tests run hundreds. The code is the same, only remembered by a digest of its
source. Python imports this file when it starts where PYTHONPATH leads here, as the root ``conftest.py`` and
``tools/check.py`` have it; ``tests/package``, ``make demo`` and ``make bench`` run without it, as users do.
"""

from __future__ import annotations

import marshal
import os
import sys
import zipimport

# At each start of a Python: importlib.util and contextlib would cost more than they are worth.
from _imp import _fix_co_filename, source_hash

_compile = getattr(zipimport, "_compile_source", None)


def _remembered(path, source):
    digest = source_hash(sys.hexversion, source).hex()
    kept = os.path.join(sys.pycache_prefix, "zipped", f"{digest}-{os.path.basename(path)}c")
    try:
        with open(kept, "rb") as file:
            code = marshal.loads(file.read())
        # Tracebacks are to name the archive of this run.
        _fix_co_filename(code, path)
        return code
    except FileNotFoundError:
        code = _compile(path, source)
    os.makedirs(os.path.dirname(kept), exist_ok=True)
    draft = f"{kept}.{os.getpid()}"
    with open(draft, "wb") as file:
        file.write(marshal.dumps(code))
    os.replace(draft, kept)
    return code


# A newer Python may name it otherwise, and is slower then.
if _compile and sys.pycache_prefix and not sys.dont_write_bytecode:
    zipimport._compile_source = _remembered
