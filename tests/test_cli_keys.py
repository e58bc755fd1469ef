"""Key files: made by keygen, refused when others may read them or when they are wrong."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.cli import Place, assert_error, call, names, run

PROGRAMS = {"onboard": "satellite", "ground": "recipient"}
program = pytest.mark.parametrize("program", PROGRAMS)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@program
def test_keygen_makes_a_pair_in_a_new_folder(program: str, tmp_path: Path) -> None:
    folder, name = tmp_path / "deep" / "keys", PROGRAMS[program]
    done = run(program, "keygen", folder)
    assert (done.status, done.err) == (0, "")
    assert names(folder) == [f"{name}.key", f"{name}.pub"]
    assert mode(folder / f"{name}.key") == 0o600
    assert str(folder / f"{name}.key") in done.out.decode()
    assert str(folder / f"{name}.pub") in done.out.decode()


@program
@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_the_private_key_is_for_its_owner_whatever_the_umask(
    program: str, mask: int, tmp_path: Path
) -> None:
    before = os.umask(mask)
    try:
        assert call(program, "keygen", tmp_path).status == 0
    finally:
        os.umask(before)
    assert mode(tmp_path / f"{PROGRAMS[program]}.key") == 0o600
    assert mode(tmp_path / f"{PROGRAMS[program]}.pub") == 0o666 & ~mask


@program
def test_no_two_keys_are_the_same(program: str, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        assert call(program, "keygen", tmp_path / folder).status == 0
    for kind in ("key", "pub"):
        name = f"{PROGRAMS[program]}.{kind}"
        assert (tmp_path / "one" / name).read_text() != (tmp_path / "two" / name).read_text()


@program
@pytest.mark.parametrize("kind", ["key", "pub"])
def test_an_existing_key_is_refused_untouched(program: str, kind: str, tmp_path: Path) -> None:
    there = tmp_path / f"{PROGRAMS[program]}.{kind}"
    there.write_text("mine")
    there.chmod(0o640)
    assert_error(call(program, "keygen", tmp_path), 205, there.name)
    assert names(tmp_path) == [there.name]
    assert (there.read_text(), mode(there)) == ("mine", 0o640)


@program
def test_keygen_under_a_file(program: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert_error(call(program, "keygen", tmp_path / "file" / "keys"), 600)
    assert_error(call(program, "keygen", tmp_path / "file"), 600)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o602, 0o660, 0o644])
def test_private_keys_that_others_may_touch_are_refused(bits: int, place: Place) -> None:
    (place.keys / "satellite.key").chmod(bits)
    (place.keys / "recipient.key").chmod(bits)
    assert_error(place.protect("--sign", place.key("satellite.key")), 203, "satellite.key")
    place.assert_nothing_marked()
    assert place.protect().status == 0
    assert_error(place.recover(), 203, "recipient.key")
    assert not place.folder.exists()


def test_a_key_for_its_owner_alone_is_taken(place: Place) -> None:
    (place.keys / "satellite.key").chmod(0o400)
    (place.keys / "recipient.key").chmod(0o400)
    assert place.protect("--sign", place.key("satellite.key")).status == 0
    assert place.recover().status == 0


def assert_key_refused(place: Place, number: int, name: str) -> None:
    """The key file `bad` in each place where a key is asked for."""
    (place.keys / "good.jpg").write_bytes(place.image.read_bytes())
    assert_error(place.protect(to=name), number, name)
    assert_error(place.protect("--sign", place.key(name)), number, name)
    place.assert_nothing_marked()
    for extra in ([], ["--satellite", place.key(name)]):
        key = "recipient.key" if extra else name
        found = place.recover(*extra, key=key, marked=place.image)
        assert_error(found, number, name)
    assert not place.folder.exists()


BAD_KEYS = {
    "empty": b"",
    "spaces": b" \n\n",
    "text": b"this is not a key\n",
    "binary": bytes(range(256)) * 4,
    "tag_alone": b"occulta-recipient-pub-1\n",
    "future": b"occulta-recipient-pub-2 " + b"11" * 32,
    "three_words": b"occulta-recipient-pub-1 " + b"11" * 32 + b" 11",
}


@pytest.mark.parametrize("kind", BAD_KEYS)
def test_malformed_keys(kind: str, place: Place) -> None:
    (place.keys / "bad").write_bytes(BAD_KEYS[kind])
    (place.keys / "bad").chmod(0o600)
    assert_key_refused(place, 204, "bad")


@pytest.mark.parametrize("digits", ["", "11" * 31, "11" * 33, "zz" * 32, "1" * 63, "é" * 32])
def test_keys_with_wrong_digits(digits: str, place: Place) -> None:
    for name, extra in (("recipient.pub", []), ("satellite.key", ["--sign"])):
        path = place.keys / name
        content = path.read_text()
        path.write_text(f"{content.split()[0]} {digits}\n")
        found = place.protect(*(extra and [*extra, path]))
        assert_error(found, 204)
        place.assert_nothing_marked()
        path.write_text(content)


LOW_ORDER = ["00" * 32, "01" + "00" * 31, "ec" + "ff" * 30 + "7f"]


@pytest.mark.parametrize("digits", LOW_ORDER)
def test_recipients_with_a_point_of_low_order_are_refused(digits: str, place: Place) -> None:
    (place.keys / "recipient.pub").write_text(f"occulta-recipient-pub-1 {digits}\n")
    assert_error(place.protect(), 204)
    place.assert_nothing_marked()


def test_a_satellite_key_off_the_curve_is_refused(place: Place) -> None:
    assert place.protect("--sign", place.key("satellite.key")).status == 0
    (place.keys / "satellite.pub").write_text(f"occulta-satellite-pub-1 {'ff' * 32}\n")
    assert_error(place.recover("--satellite", place.key("satellite.pub")), 204)
    assert not place.folder.exists()


def test_missing_keys(place: Place) -> None:
    assert_key_refused(place, 202, "missing.key")


def test_a_folder_in_the_place_of_a_key(place: Place) -> None:
    (place.keys / "folder").mkdir(mode=0o700)
    assert_key_refused(place, 202, "folder")


@pytest.mark.parametrize("wrong", ["recipient.key", "satellite.key", "satellite.pub"])
def test_wrong_kind_for_a_recipient(wrong: str, place: Place) -> None:
    assert_error(place.protect(to=wrong), 206, wrong)
    place.assert_nothing_marked()


@pytest.mark.parametrize("wrong", ["recipient.key", "recipient.pub", "satellite.pub"])
def test_wrong_kind_for_signing(wrong: str, place: Place) -> None:
    (place.keys / wrong).chmod(0o600)
    assert_error(place.protect("--sign", place.key(wrong)), 206, wrong)
    place.assert_nothing_marked()


@pytest.mark.parametrize("wrong", ["recipient.pub", "satellite.key", "satellite.pub"])
def test_wrong_kind_for_recovery(wrong: str, place: Place) -> None:
    (place.keys / wrong).chmod(0o600)
    assert place.protect().status == 0
    assert_error(place.recover(key=wrong), 206, wrong)
    assert not place.folder.exists()


@pytest.mark.parametrize("wrong", ["recipient.pub", "satellite.key", "recipient.key"])
def test_wrong_kind_for_verifying(wrong: str, place: Place) -> None:
    assert place.protect("--sign", place.key("satellite.key")).status == 0
    assert_error(place.recover("--satellite", place.key(wrong)), 206, wrong)
    assert not place.folder.exists()


def test_a_key_never_shows_in_what_is_printed(place: Place) -> None:
    made = call("ground", "keygen", place.root / "new")
    secret = (place.root / "new" / "recipient.key").read_text().split()[1]
    assert secret not in made.out.decode() + made.err
    (place.keys / "recipient.key").write_text(f"occulta-recipient-key-2 {secret}\n")
    found = place.recover(marked=place.image)
    assert_error(found, 204)
    assert secret not in found.err
