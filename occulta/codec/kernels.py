"""Choice of the kernel: compiled where it was built, plain Python otherwise.

A kernel is one Python file. Installed with a compiler it is also an extension module of the same
name; both give identical bytes. `auto` takes the compiled one where it exists. A kernel that is
asked for by name is a demand: absent means an error, never a silent second choice.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from functools import cache
from types import ModuleType

from occulta.errors import OccultaError, Reason

KERNEL_VARIABLE = "OCCULTA_KERNEL"
CHOICES = ("auto", "compiled", "plain")


@cache
def load_kernel(name: str, choice: str | None = None) -> ModuleType:
    """Import the kernel module `name` as `choice` says (default: $OCCULTA_KERNEL, or `auto`).

    Raises OccultaError(KERNEL_MISSING) when the compiled kernel is demanded and absent, and
    ValueError for an unknown choice.
    """
    choice = choice or os.environ.get(KERNEL_VARIABLE) or "auto"
    if choice not in CHOICES:
        raise ValueError(f"unknown kernel {choice!r}: choose from {', '.join(CHOICES)}")
    if choice == "plain":
        return _load_plain(name)
    module = importlib.import_module(name)
    if choice == "compiled" and not is_compiled(module):
        raise OccultaError(Reason.KERNEL_MISSING, f"the compiled kernel {name} is not installed")
    return module


def is_compiled(module: ModuleType) -> bool:
    """True for an extension module, False for the plain Python file."""
    return not str(module.__file__).endswith(".py")


def _load_plain(name: str) -> ModuleType:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise OccultaError(Reason.KERNEL_MISSING, f"the kernel {name} is not installed")
    source = os.path.join(os.path.dirname(spec.origin), name.rpartition(".")[2] + ".py")
    plain = importlib.util.spec_from_file_location(name + "_plain", source)
    if plain is None or plain.loader is None:
        raise OccultaError(Reason.KERNEL_MISSING, f"no source for the kernel {name}")
    module = importlib.util.module_from_spec(plain)
    sys.modules[plain.name] = module
    plain.loader.exec_module(module)
    return module
