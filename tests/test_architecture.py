"""The rules of the house, read from the imports: floors, sans-IO, and what may fly."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = {"onboard", "ground", "cloud"}
PACKAGES = ("occulta", "onboard", "ground", "cloud", "sim")

# A package imports from itself and from floors below it. The library's own front door,
# occulta/__init__.py, stands above what it offers; its loose modules serve every floor.
FLOORS = {
    "occulta.*": 0,
    "occulta.codec": 1,
    "occulta.schemes": 2,
    "occulta.link": 2,
    "occulta": 2.5,
    "occulta.program": 2.7,
    "onboard": 3,
    "ground": 3,
    "cloud": 3,
    "sim": 4,
}

FLIGHT = ("occulta", "onboard")
FLYING = {"zmq", "msgpack", "yaml", "Crypto", "msgspec", "cython"}
# Extras that no flight program ever loads: where a raster is read, and on the ground.
RECEIVER = ("demodulate", "extract", "picture", "placing", "synchronise", "views")
EXTRAS = {
    "occulta.program.rasters": {"PIL"},
    **{f"occulta.schemes.robust.{name}": {"numpy"} for name in RECEIVER},
}

# Sockets, files, clocks, global randomness, and ways around these rules.
DOING_IO = {
    *("socket", "ssl", "select", "selectors", "zmq", "http", "urllib", "asyncio"),
    *("os", "pathlib", "tempfile", "shutil", "glob", "mmap", "sqlite3", "subprocess"),
    *("threading", "multiprocessing", "concurrent", "signal", "fcntl", "importlib"),
    *("time", "random", "secrets", "uuid", "Crypto.Random", "numpy.random"),
}
IO_CALLS = {"open", "input", "__import__", "exec", "eval"}
IO_ATTRIBUTES = {"io.open", "np.random", "numpy.random"}
ENDPOINT = "occulta.link.endpoint"
KERNEL_LOADER = "occulta.codec.kernels"
# The loader reads one variable and finds kernels by their path; the real sealing object draws fresh
# keys, and schemes get it as an argument.
SHARED_BY_PROGRAMS = "occulta.program"
EXCEPTIONS = {
    KERNEL_LOADER: {"os", "importlib"},
    "occulta.codec.crypto": {"Crypto.Random"},
}
OS_WITHOUT_IO = {"environ", "path"}


def module_name(path: Path) -> str:
    """The dotted name of a file below the root."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def files(*packages: str) -> list[Path]:
    """Every source file of the packages that exist by now."""
    return [path for name in packages for path in sorted((ROOT / name).rglob("*.py"))]


def is_module(name: str) -> bool:
    """Whether a dotted name is a module or package of this project."""
    path = ROOT / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


def absolute(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    """The module that `from ... import` names, with leading dots resolved."""
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    kept = parts[: len(parts) - node.level + is_package]
    return ".".join([*kept, *filter(None, [node.module])])


def imports(tree: ast.AST, module: str, is_package: bool = False) -> Iterator[str]:
    """Every module imported anywhere in a file, function bodies included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node, module, is_package)
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                own = base.split(".")[0] in PACKAGES
                yield whole if not own or is_module(whole) else base


def imports_of(path: Path) -> set[str]:
    """Every module that a file of this project imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return set(imports(tree, module_name(path), path.name == "__init__.py"))


def unit(module: str) -> str:
    """The package that has a floor of its own, for any module of this project."""
    first, _, rest = module.partition(".")
    if first != "occulta" or not rest:
        return first
    second = f"occulta.{rest.split('.')[0]}"
    is_loose = second not in FLOORS and (ROOT / f"{second.replace('.', '/')}.py").is_file()
    return "occulta.*" if is_loose else second


def is_allowed(importer: str, imported: str) -> bool:
    """Whether one module of this project may import another."""
    above, below = unit(importer), unit(imported)
    return above == below or FLOORS[above] > FLOORS[below]


def within(name: str, modules: set[str]) -> bool:
    """Whether a dotted name is one of the modules or inside one."""
    return any(name == module or name.startswith(module + ".") for module in modules)


def io_in(tree: ast.AST, module: str, is_package: bool = False) -> list[str]:
    """What a library module does that only a program may do."""
    allowed = EXCEPTIONS.get(module, set())
    named = imports(tree, module, is_package)
    found = [name for name in named if within(name, DOING_IO - allowed)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found += {node.func.id} & IO_CALLS
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner, used = node.value.id, f"{node.value.id}.{node.attr}"
            if used in IO_ATTRIBUTES or (owner == "os" and node.attr not in OS_WITHOUT_IO):
                found.append(used)
    return found


# --- the rules


def test_there_is_something_to_check() -> None:
    assert files("occulta")


@pytest.mark.parametrize("path", files(*PACKAGES), ids=module_name)
def test_imports_point_downwards(path: Path) -> None:
    importer = module_name(path)
    own = [name for name in imports_of(path) if name.split(".")[0] in PACKAGES]
    assert unit(importer) in FLOORS, f"give {unit(importer)} a floor"
    assert [name for name in own if not is_allowed(importer, name)] == []


@pytest.mark.parametrize("path", files(*PACKAGES), ids=module_name)
def test_nothing_imports_what_stands_beside(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports_of(path)} & {"tests", "bench", "dev"}


@pytest.mark.parametrize("path", files(*sorted(PROGRAMS)), ids=module_name)
def test_programs_never_import_each_other(path: Path) -> None:
    others = PROGRAMS - {module_name(path).split(".")[0]}
    assert not {name.split(".")[0] for name in imports_of(path)} & others


@pytest.mark.parametrize("path", files("occulta"), ids=module_name)
def test_the_library_does_no_io(path: Path) -> None:
    module = module_name(path)
    if within(module, {ENDPOINT, SHARED_BY_PROGRAMS}):
        pytest.skip("these are where the floors below the programs may touch the machine")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert io_in(tree, module, path.name == "__init__.py") == []


@pytest.mark.parametrize("path", files(*FLIGHT), ids=module_name)
def test_flight_imports_only_what_flies(path: Path) -> None:
    extra = EXTRAS.get(module_name(path), set())
    allowed = FLYING | extra | set(FLIGHT) | sys.stdlib_module_names
    assert {name.split(".")[0] for name in imports_of(path)} - allowed == set()


@pytest.mark.parametrize("path", files("onboard"), ids=module_name)
def test_nothing_on_board_imports_the_receiver(path: Path) -> None:
    receiver = {f"occulta.schemes.robust.{name}" for name in RECEIVER}
    assert imports_of(path) & receiver == set()


# --- the rules themselves notice what they should


@pytest.mark.parametrize(
    ("importer", "imported", "expected"),
    [
        ("occulta.codec.jpeg.scan", "occulta.codec.bits", True),
        ("occulta.codec.jpeg.scan", "occulta.schemes.reversible", False),
        ("occulta.schemes.reversible", "occulta.codec.jpeg", True),
        ("occulta.schemes.reversible", "occulta.link.cfdp", False),
        ("occulta.codec.jpeg", "occulta", False),
        ("occulta", "occulta.schemes.reversible", True),
        ("onboard.daemon", "occulta.link.cfdp", True),
        ("onboard.daemon", "occulta", True),
        ("onboard.daemon", "ground.archive", False),
        ("ground.archive", "cloud.holder", False),
        ("ground.archive", "sim.camera", False),
        ("sim.scenario", "onboard.daemon", True),
    ],
)
def test_floors(importer: str, imported: str, expected: bool) -> None:
    assert is_allowed(importer, imported) is expected


@pytest.mark.parametrize(
    "line",
    [
        "import socket",
        "import os.path",
        "from os import environ",
        "from pathlib import Path",
        "from Crypto import Random",
        "from Crypto.Random import get_random_bytes",
        "from numpy import random",
        "import numpy as np\nnp.random.default_rng(1)",
        "import io\nio.open('name')",
        "def f():\n    import time",
        "open('name')",
        "__import__('socket')",
    ],
)
def test_io_is_noticed(line: str) -> None:
    assert io_in(ast.parse(line), "occulta.codec.bits")


@pytest.mark.parametrize(
    "line",
    [
        "import hashlib, hmac, io, math\nio.BytesIO()",
        "from Crypto.Protocol import HPKE",
        "class File:\n    def open(self): ...\nFile().open()",
    ],
)
def test_computing_is_no_io(line: str) -> None:
    assert io_in(ast.parse(line), "occulta.codec.bits") == []


def test_the_kernel_loader_may_look_but_not_touch() -> None:
    looks = ast.parse("import importlib, os\nos.path.join(os.environ['X'], 'y')")
    assert io_in(looks, KERNEL_LOADER) == []
    assert io_in(ast.parse("import os\nos.remove('x')"), KERNEL_LOADER) == ["os.remove"]


@pytest.mark.parametrize(
    ("line", "is_package", "expected"),
    [
        ("from . import bits", False, "occulta.codec"),
        ("from .bits import Reader", False, "occulta.codec.bits"),
        ("from ..link import cfdp", False, "occulta.link"),
        ("from .jpeg import scan", True, "occulta.codec.jpeg"),
    ],
)
def test_relative_imports_are_resolved(line: str, is_package: bool, expected: str) -> None:
    module = "occulta.codec.jpeg" if not is_package else "occulta.codec"
    (found,) = imports(ast.parse(line), module, is_package)
    assert found == expected or found.startswith(expected + ".")
