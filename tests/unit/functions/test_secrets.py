"""Secrets: sealed in the store, whole in memory, never in a list."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from baas.clock import SystemClock
from baas.engines.sqlite.store import SqliteStore
from baas.errors import Problem
from baas.functions.secrets import (
    MAX_VALUE_BYTES,
    SECRET_COLLECTIONS,
    SECRETS,
    Secrets,
    SecretVault,
)
from baas.ports.documents import Find, resolve
from baas.schema.values import decode, encode
from baas.secret import MasterSecret
from tests.support.stores import put

VALUE = "sk-live-0123456789abcdef"


class Bench:
    def __init__(self, runner: asyncio.Runner, store: SqliteStore) -> None:
        self.run = runner.run
        self.store = store
        self.vault = self.vault_of(b"m" * 40)
        self.secrets = Secrets(self.vault)

    def vault_of(self, master: bytes) -> SecretVault:
        return SecretVault(self.store, MasterSecret(master), SystemClock())

    def stored(self) -> list[bytes]:
        async def find() -> list[bytes]:
            return await resolve(self.store.find(Find(collection=SECRETS)))

        return self.run(find())


@pytest.fixture
def bench() -> Iterator[Bench]:
    with asyncio.Runner() as runner:
        store = SqliteStore.memory()
        runner.run(store.open())
        runner.run(store.declare(SECRET_COLLECTIONS))
        yield Bench(runner, store)
        runner.run(store.close())


def test_what_was_set_is_there_at_the_next_look(bench: Bench) -> None:
    bench.run(bench.vault.set("STRIPE_KEY", VALUE))
    assert bench.secrets.current() == {}

    assert bench.run(bench.secrets.look())
    assert bench.secrets.current() == {"STRIPE_KEY": VALUE}
    before = bench.secrets.current()
    assert not bench.run(bench.secrets.look())
    assert bench.secrets.current() is before


def test_the_store_never_has_the_value(bench: Bench) -> None:
    bench.run(bench.vault.set("STRIPE_KEY", VALUE))

    (stored,) = bench.stored()
    assert VALUE.encode() not in stored
    assert decode(stored)["value"] != VALUE


def test_a_list_has_names_and_times_alone(bench: Bench) -> None:
    bench.run(bench.vault.set("B", VALUE))
    bench.run(bench.vault.set("A", VALUE))

    listed = bench.run(bench.vault.listed())

    assert [one.name for one in listed] == ["A", "B"]
    assert VALUE not in repr(listed)


def test_one_value_sealed_twice_looks_different(bench: Bench) -> None:
    bench.run(bench.vault.set("A", VALUE))
    bench.run(bench.vault.set("B", VALUE))

    first, second = map(decode, bench.stored())
    assert first["value"] != second["value"]


def test_a_sealed_value_cannot_take_the_place_of_another(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.run(bench.vault.set("MINE", VALUE))
    (mine,) = map(decode, bench.stored())

    bench.run(put(bench.store, SECRETS, {**mine, "_id": "YOURS"}))
    bench.run(bench.secrets.look())

    assert bench.secrets.current() == {"MINE": VALUE}
    assert "YOURS" in caplog.text
    assert VALUE not in caplog.text


def test_rotation_seals_all_anew_and_keeps_the_values(bench: Bench) -> None:
    bench.run(bench.vault.set("A", VALUE))
    bench.run(bench.vault.set("B", "other"))
    before = [decode(one) for one in bench.stored()]

    assert bench.run(bench.vault.rotate()) == 2

    after = [decode(one) for one in bench.stored()]
    assert {one["generation"] for one in before} & {one["generation"] for one in after} == set()
    assert bench.vault.open_all([encode(one) for one in after]) == {"A": VALUE, "B": "other"}
    bench.run(bench.vault.set("C", "third"))
    assert len({decode(one)["generation"] for one in bench.stored()}) == 1


def test_another_master_secret_opens_nothing_and_rotates_nothing(bench: Bench) -> None:
    bench.run(bench.vault.set("A", VALUE))
    before = bench.stored()
    stranger = bench.vault_of(b"n" * 40)

    assert stranger.open_all(before) == {}
    with pytest.raises(Problem, match="A cannot be opened"):
        bench.run(stranger.rotate())
    assert bench.stored() == before


def test_setting_again_changes_the_value_and_keeps_the_birthday(bench: Bench) -> None:
    bench.run(bench.vault.set("A", "first"))
    (born,) = bench.run(bench.vault.listed())
    bench.run(bench.vault.set("A", "second"))

    bench.run(bench.secrets.look())

    assert bench.secrets.current() == {"A": "second"}
    assert bench.run(bench.vault.listed())[0].createTime == born.createTime


def test_deleting_takes_it_away_and_only_once(bench: Bench) -> None:
    bench.run(bench.vault.set("A", VALUE))
    bench.run(bench.secrets.look())
    bench.run(bench.vault.delete("A"))
    bench.run(bench.secrets.look())

    assert bench.secrets.current() == {}
    with pytest.raises(Problem, match="no secret A"):
        bench.run(bench.vault.delete("A"))


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "_A", "a.b", "x" * 65, "Ä"])
def test_names_are_those_of_variables(bench: Bench, name: str) -> None:
    with pytest.raises(Problem):
        bench.run(bench.vault.set(name, VALUE))


@pytest.mark.parametrize("value", ["", "x" * (MAX_VALUE_BYTES + 1), "\ud800"])
def test_values_are_texts_of_some_length(bench: Bench, value: str) -> None:
    with pytest.raises(Problem):
        bench.run(bench.vault.set("A", value))


def test_any_text_comes_back_as_it_was(bench: Bench) -> None:
    value = "-----BEGIN KEY-----\n\u4f60\u0000\n"
    bench.run(bench.vault.set("PEM", value))
    bench.run(bench.secrets.look())

    assert bench.secrets.current()["PEM"] == value
