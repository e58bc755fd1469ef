"""The task runner and the project file: what they promise before anything is installed."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import dev

ROOT = Path(__file__).resolve().parent.parent
EXACT = re.compile(r"[A-Za-z0-9_-]+==[0-9][0-9A-Za-z.]*")


def run_dev(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run dev.py with an emptied environment."""
    command = [sys.executable, str(ROOT / "dev.py"), *words]
    return subprocess.run(command, cwd=cwd, env={}, capture_output=True, text=True, check=False)


# --- the command line


@pytest.mark.parametrize("flag", ["--help", "-h", "help"])
def test_help_names_every_target(flag: str, tmp_path: Path) -> None:
    result = run_dev(flag, cwd=tmp_path)
    assert result.returncode == 0
    for name, target in dev.TARGETS.items():
        assert name in result.stdout
        assert target.summary in result.stdout


def test_no_target_is_a_usage_error() -> None:
    result = run_dev()
    assert result.returncode == 2
    assert result.stdout == ""
    assert "usage:" in result.stderr


@pytest.mark.parametrize("words", [("nosuch",), ("nosuch", "test"), ("check", "nosuch")])
def test_misuse_is_one_line_and_one_hint(words: tuple[str, ...]) -> None:
    result = run_dev(*words)
    assert result.returncode == 2
    first, second = result.stderr.splitlines()
    assert first.startswith("dev.py: ")
    assert second.startswith("hint: ")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("test", [("test", [])]),
        ("check test", [("check", []), ("test", [])]),
        ("test tests/test_dev.py -x", [("test", ["tests/test_dev.py", "-x"])]),
        ("test -- bench", [("test", ["bench"])]),
        ("demo --image your.jpg", [("demo", ["--image", "your.jpg"])]),
        ("bench --help", [("bench", ["--help"])]),
        ("arm64", [("arm64", [])]),
        ("arm64 test demo", [("arm64", ["test", "demo"])]),
        ("check arm64", [("check", []), ("arm64", [])]),
    ],
)
def test_arguments_after_one_target_are_passed_on(
    line: str, expected: list[tuple[str, list[str]]]
) -> None:
    assert dev.plan(line.split()) == expected


@pytest.mark.parametrize(("words", "said"), [(["setup"], f"dev.py: {dev.READY}\n"), (["test"], "")])
def test_setup_alone_ends_with_what_to_do_next(
    words: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dev, "set_up", lambda root: None)
    monkeypatch.setattr(dev, "run_target", lambda *words: 0)
    assert dev.main(words) == 0
    assert capsys.readouterr().err == said


def test_makefile_forwards_every_target() -> None:
    lines = (ROOT / "Makefile").read_text().splitlines()
    assert len(lines) == 3
    assert lines[1].removesuffix(":").split() == list(dev.TARGETS)
    assert lines[0] == ".PHONY: " + " ".join(dev.TARGETS)


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("name", list(dev.TARGETS))
def test_make_runs_dev(name: str) -> None:
    command = ["make", "--no-print-directory", "-n", name, "ARGS=-x"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == f"python3 dev.py {name} -x"


# --- machines that lack something


def test_parses_on_old_interpreters() -> None:
    ast.parse((ROOT / "dev.py").read_text(), feature_version=(3, 6))


@pytest.mark.parametrize("newer", ["python3.12", None])
def test_old_python_is_refused(newer: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: name if name == newer else None)
    with pytest.raises(dev.Stop, match=r"Python 3\.9, and 3\.11 or newer") as caught:
        dev.require_python((3, 9))
    assert (newer or "install Python") in caught.value.hint


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_missing_venv_names_the_debian_package(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(dev.Stop, match="python3-venv") as caught:
        dev.require_venv()
    assert "apt install python3-venv" in caught.value.hint
    assert caught.value.status != 0


def test_a_signal_counts_as_the_shell_counts_it() -> None:
    assert dev.call([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]) == 137
    assert dev.call([sys.executable, "-c", "raise SystemExit(5)"]) == 5


def test_an_absent_or_foreign_interpreter_is_not_usable(tmp_path: Path) -> None:
    assert dev.is_usable(sys.executable)
    assert not dev.is_usable(dev.venv_python(tmp_path))
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    assert not dev.is_usable(str(other))


# --- kernels: what is stale goes, what is fresh stays


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A project with two kernels that look compiled."""
    for name in ("setup.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for folder in ("occulta/codec", "build/cython/occulta/codec", ".venv"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "occulta/_cyutility.cpython-311-any.so").touch()
    for stem in ("codec/a_kernel", "codec/b_kernel"):
        (tmp_path / f"occulta/{stem}.py").write_text(f"# {stem}\n")
        (tmp_path / f"occulta/{stem}.cpython-311-any.so").touch()
        (tmp_path / f"build/cython/occulta/{stem}.c").touch()
    return tmp_path


def made(root: Path) -> set[str]:
    """What was made from kernels, by the kernels' names."""
    return {path.name.split(".")[0] + path.suffix for path in root.rglob("*_kernel.*[oc]")}


def test_fresh_kernels_are_left_alone(tree: Path) -> None:
    wanted = dev.kernel_digests(tree)
    dev.discard_stale(tree, wanted, wanted)
    assert made(tree) == {"a_kernel.so", "a_kernel.c", "b_kernel.so", "b_kernel.c"}
    assert dev.missing_kernels(tree, wanted) == []


def test_without_what_they_share_no_kernel_works(tree: Path) -> None:
    (tree / "occulta/_cyutility.cpython-311-any.so").unlink()
    wanted = dev.kernel_digests(tree)
    assert dev.missing_kernels(tree, wanted) == sorted(wanted)


def test_a_changed_kernel_is_discarded_alone(tree: Path) -> None:
    built = dev.kernel_digests(tree)
    (tree / "occulta/codec/a_kernel.py").write_text("# changed\n")
    wanted = dev.kernel_digests(tree)
    dev.discard_stale(tree, wanted, built)
    assert made(tree) == {"b_kernel.so", "b_kernel.c"}
    assert dev.missing_kernels(tree, wanted) == ["occulta/codec/a_kernel.py"]


def test_a_kernel_whose_source_has_gone_is_discarded(tree: Path) -> None:
    built = dev.kernel_digests(tree)
    (tree / "occulta/codec/b_kernel.py").unlink()
    dev.discard_stale(tree, dev.kernel_digests(tree), built)
    assert made(tree) == {"a_kernel.so", "a_kernel.c"}


def test_a_changed_build_recipe_discards_all(tree: Path) -> None:
    built = dev.kernel_digests(tree)
    with (tree / "setup.py").open("a") as file:
        file.write("# changed\n")
    dev.discard_stale(tree, dev.kernel_digests(tree), built)
    assert made(tree) == set()


def test_no_compiler_wanted_removes_the_compiled_kernels(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OCCULTA_NO_COMPILER", "1")
    monkeypatch.setattr(dev, "ensure_venv", lambda root: None)
    dev.set_up(tree)
    assert made(tree) == set()
    assert capsys.readouterr().err.count("plain-Python kernel") == 1


def attempt(tree: Path, monkeypatch: pytest.MonkeyPatch, outcome: str) -> list[str]:
    """Let building end in a given way, and list the attempts made."""
    attempts: list[str] = []

    def build(command: list[str], **options: object) -> int:
        attempts.append(outcome)
        options["stdout"].write(outcome.encode())  # type: ignore[attr-defined]
        return 0

    monkeypatch.setattr(subprocess, "call", build)
    for path in tree.rglob("*.so"):
        path.unlink()
    return attempts


def test_without_a_toolchain_it_is_tried_once_and_said_each_time(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    attempts = attempt(tree, monkeypatch, dev.NO_TOOLCHAIN)
    for _ in range(2):
        dev.build_kernels(tree)
        assert capsys.readouterr().err.count("plain-Python kernel") == 1
    assert len(attempts) == 1
    monkeypatch.setattr(dev, "toolchain", lambda: ["/usr/bin/cc"])
    dev.build_kernels(tree)
    assert len(attempts) == 2


def test_a_broken_kernel_is_an_error_and_tried_again(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = attempt(tree, monkeypatch, "error: x is not declared")
    for _ in range(2):
        with pytest.raises(dev.Stop, match="a_kernel"):
            dev.build_kernels(tree)
    assert len(attempts) == 2


# --- the project file


def project() -> dict[str, dict[str, object]]:
    """What pyproject.toml says."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_pin_is_exact_and_documented() -> None:
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    extras = project()["project"]["optional-dependencies"]
    assert isinstance(extras, dict) and set(dev.EXTRAS) <= set(extras)
    pins = {*dev.pinned_packages(ROOT), *(pin for extra in extras.values() for pin in extra)}
    for pin in pins:
        assert EXACT.fullmatch(pin), pin
        name, version = pin.split("==")
        assert f"| {name} | {version} |" in page
    assert len(re.findall(r"^\| \S+ \| [0-9]", page, re.MULTILINE)) == len(pins)


def test_nothing_is_pinned_twice_to_different_versions() -> None:
    pins = [*dev.pinned_packages(ROOT), *project()["build-system"]["requires"]]  # type: ignore[misc]
    assert len(set(pins)) == len({pin.split("==")[0].lower() for pin in pins})


def test_kernels_are_built_without_shortcuts_in_arithmetic() -> None:
    recipe = (ROOT / "setup.py").read_text()
    assert "-ffp-contract=off" in recipe
    assert '"-ffast-math' not in recipe
    assert '"-march' not in recipe


def test_setup_and_dev_agree_on_the_missing_toolchain() -> None:
    assert dev.NO_TOOLCHAIN in (ROOT / "setup.py").read_text()


def test_ci_runs_the_same_targets() -> None:
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    assert "dev.py check test" in script.read_text()
