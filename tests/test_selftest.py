"""The flight software's known answers: right on every kernel, and a wrong one grounds it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import onboard
from occulta import schemes
from occulta.codec.kernels import load_kernel
from occulta.errors import OccultaError, Reason
from onboard import selftest
from onboard.__main__ import main
from onboard.selftest import KERNELS, VECTORS
from tests.support import compiled_kernel

pytestmark = pytest.mark.arm64

NAMES = [name for name, _ in selftest.answers(selftest.load_vectors())]
KINDS = ["plain", pytest.param("compiled", marks=pytest.mark.skipif(
    compiled_kernel() is None, reason="the compiled kernel is not built"))]


@pytest.fixture
def changed(tmp_path, monkeypatch):
    """The vectors, to be written back with a change."""
    path = tmp_path / "vectors.json"
    monkeypatch.setattr(selftest, "VECTORS", path)

    def write(change):
        vectors = json.loads(VECTORS.read_bytes())
        change(vectors)
        path.write_text(json.dumps(vectors))

    return write


@pytest.mark.parametrize("kind", KINDS)
def test_all_answers_are_right(kind, monkeypatch, capsys):
    monkeypatch.setenv("OCCULTA_KERNEL", kind)
    load_kernel.cache_clear()
    try:
        assert main(["selftest", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
    finally:
        load_kernel.cache_clear()
    assert found["cases"] == dict.fromkeys(NAMES, True)
    assert found["kernels"] == {name.rpartition(".")[2]: kind for name in KERNELS}


@pytest.mark.parametrize("name", NAMES)
def test_one_wrong_answer_is_named(name, changed, capsys):
    changed(lambda vectors: vectors["answers"].update({name: "0" * 64}))
    assert main(["selftest"]) == 6
    said = capsys.readouterr()
    wrong = [line for line in said.out.splitlines() if line.startswith("WRONG")]
    assert wrong == [f"WRONG  {name}"]
    assert f"error {Reason.SELFTEST_FAILED.value}" in said.err and name in said.err


def test_a_key_that_opens_nothing(changed):
    def flip(vectors):
        head = vectors["sealed_header"]
        vectors["sealed_header"] = head[:-8] + ("A" if head[-8] != "A" else "B") + head[-7:]

    changed(flip)
    with pytest.raises(OccultaError) as caught:
        selftest.require()
    assert caught.value.reason is Reason.SELFTEST_FAILED
    assert caught.value.detail.startswith("wrong answers: sealing: ")


@pytest.mark.parametrize("error", [
    ImportError("no module"), ZeroDivisionError("by zero"), MemoryError(), AssertionError(),
    OSError(8, "wrong architecture"), RecursionError("too deep"),
], ids=lambda error: type(error).__name__)
def test_whatever_a_case_raises_is_a_wrong_answer(error, monkeypatch, capsys):
    def fails(vectors):
        raise error

    monkeypatch.setitem(selftest.CASES, "manifest", fails)
    assert main(["selftest"]) == 6
    said = capsys.readouterr()
    wrong = [line for line in said.out.splitlines() if line.startswith("WRONG")]
    assert wrong == [f"WRONG  manifest: {type(error).__name__}: {error}"]
    assert said.err.startswith("error 606: wrong answers: manifest: ")


def test_the_daemon_names_a_case_that_raises(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(selftest.CASES, "checksums", lambda vectors: 1 // 0)
    assert main(["run", "--config", str(tmp_path / "onboard.yaml")]) == 6
    assert "wrong answers: checksums: ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["selftest"], ["run", "--config", "none.yaml"]])
def test_a_library_that_does_not_load(command, monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "onboard.selftest")
    monkeypatch.delattr(onboard, "selftest")
    monkeypatch.delattr(schemes, "sealed")
    monkeypatch.setitem(sys.modules, "occulta.schemes.sealed", None)
    assert main(command) == 6
    said = capsys.readouterr().err
    assert said.startswith("error 606: cannot be loaded: ") and "sealed" in said


def test_a_kernel_that_is_demanded_and_absent(monkeypatch, capsys):
    monkeypatch.setenv("OCCULTA_KERNEL", "nonsense")
    load_kernel.cache_clear()
    try:
        assert main(["selftest", "--json"]) == 6
        found = json.loads(capsys.readouterr().out.splitlines()[0])
    finally:
        load_kernel.cache_clear()
    assert set(found["kernels"].values()) == {"absent"}
    needing = {"checksums", "cells", "shares", "diffusion", "turbo code",
               "turbo decoding", "coefficients", "transforms", "robust"}
    needing |= {name for name in NAMES if name.startswith("marking ")}
    assert {name for name in NAMES if not found["cases"][name]} == needing


def test_every_kernel_is_known():
    root = Path(onboard.__file__).parents[1]
    files = [path.relative_to(root) for path in (root / "occulta").rglob("*_kernel.py")]
    assert sorted(KERNELS) == sorted(".".join(path.with_suffix("").parts) for path in files)


@pytest.mark.parametrize("content", [
    "", "[]", "{}", '{"pictures": {}}', '{"pictures": 1, "answers": 2}',
])
def test_vectors_of_another_shape(content, tmp_path, monkeypatch, capsys):
    path = tmp_path / "vectors.json"
    path.write_text(content)
    monkeypatch.setattr(selftest, "VECTORS", path)
    assert main(["selftest"]) == 6
    assert "no known answers" in capsys.readouterr().err


def test_no_vectors(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(selftest, "VECTORS", tmp_path / "none")
    assert main(["selftest"]) == 6
    assert "no known answers" in capsys.readouterr().err


def test_the_daemon_does_not_fly(changed, tmp_path, capsys):
    changed(lambda vectors: vectors["answers"].update(sealing="0" * 64))
    assert main(["run", "--config", str(tmp_path / "onboard.yaml")]) == 6
    assert "wrong answers: sealing" in capsys.readouterr().err
