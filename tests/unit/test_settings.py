"""baas.yaml, the environment and the command line become one checked Settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from baas.errors import ConfigurationError
from baas.notation import Rate, parse_networks, parse_rate
from baas.settings import Settings, load_settings


def load(folder: Path, text: str | None = None, **environ: str) -> Settings:
    if text is not None:
        (folder / "baas.yaml").write_text(text, encoding="utf-8")
    return load_settings(folder, environ)


def fault(folder: Path, text: str | None = None, **environ: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(folder, text, **environ)
    return str(caught.value)


def test_no_file_means_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path) == Settings()


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "server:\n", "server: {}\n"])
def test_an_empty_file_or_section_means_the_defaults(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text) == Settings()


def test_the_file_sets_values_of_every_kind(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "app: {name: board}\n"
        "server:\n  port: 0\n  origins: [https://a.example]\n  drain_seconds: 3\n"
        "auth: {sign_up: false}\n",
    )

    assert settings.app.name == "board"
    assert settings.server.port == 0
    assert settings.server.origins == ("https://a.example",)
    assert settings.server.drain_seconds == 3.0
    assert settings.auth.sign_up is False


def test_the_environment_overrides_the_file_and_the_command_line_both(tmp_path: Path) -> None:
    (tmp_path / "baas.yaml").write_text("server: {port: 1, host: a, workers: 2}\n")
    environ = {"BAAS_SERVER__PORT": "2", "BAAS_SERVER__HOST": "b"}

    settings = load_settings(tmp_path, environ, {"server.port": 3})

    assert (settings.server.port, settings.server.host) == (3, "b")
    assert settings.server.workers == 2


def test_variables_are_read_as_their_field_wants_them(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        BAAS_AUTH__SIGN_UP="false",
        BAAS_SERVER__TRUSTED_PROXIES="10.0.0.0/8, ::1",
        BAAS_OBSERVE__ACCESS_SAMPLE="0.5",
        BAAS_APP__NAME="7",
    )

    assert settings.auth.sign_up is False
    assert settings.server.trusted_proxies == ("10.0.0.0/8", "::1")
    assert settings.observe.access_sample == 0.5
    assert settings.app.name == "7"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("server:\n  prot: 1\n", "baas.yaml:2:3: unknown key of server 'prot'; did you mean port?"),
        ("sever:\n  port: 1\n", "baas.yaml:1:1: unknown section 'sever'; did you mean server?"),
        ("server:\n  data: d\n", "baas.yaml:2:3: unknown key 'data' in server; did you mean"),
        ("server:\n  port: 70000\n", "baas.yaml:2:9: server.port: "),
        ("server:\n  port: '80'\n", "baas.yaml:2:9: server.port: "),
        ("server:\n  workers: 0\n", "baas.yaml:2:12: server.workers: "),
        ("app:\n  name: a b\n", "baas.yaml:2:9: app.name: "),
        ("observe: {log_format: xml}\n", "baas.yaml:1:23: observe.log_format: "),
        ("limits:\n  rate_auth: fast\n", "baas.yaml:2:14: limits.rate_auth: a rate is"),
        ("server:\n  trusted_proxies: [proxy]\n", "baas.yaml:2:20: server.trusted_proxies: "),
        ("server:\n  origins: [a.example]\n", "baas.yaml:2:12: server.origins: "),
        ("server: yes please\n", "baas.yaml:1:9: server holds settings"),
        ("- server\n", "baas.yaml:1:1: expected sections"),
        ("server:\n  port: 1\n  port: 2\n", "baas.yaml:3:3: the key 'port' is here twice"),
        ("server: [\n", "baas.yaml:"),
    ],
)
def test_a_fault_in_the_file_is_shown_with_its_place(
    tmp_path: Path, text: str, message: str
) -> None:
    assert fault(tmp_path, text).startswith(message)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("BAAS_SERVER__PROT", "unknown key of server 'prot'; did you mean port?"),
        ("BAAS_SEVER__PORT", "unknown section 'sever'; did you mean server?"),
        ("BAAS_SERVER_PORT", "did you mean BAAS_SERVER__PORT?"),
        ("BAAS_SERVER__PORT", "Expected `int`"),
        ("BAAS_LIMITS__RATE_READ", "a rate is"),
    ],
)
def test_a_fault_in_the_environment_names_the_variable(
    tmp_path: Path, name: str, message: str
) -> None:
    shown = fault(tmp_path, **{name: "x"})

    assert shown.startswith(f"{name}: ")
    assert message in shown


def test_a_fault_never_shows_the_value_of_a_variable(tmp_path: Path) -> None:
    assert "hunter2" not in fault(tmp_path, BAAS_SERVER__PORT="hunter2")


def test_foreign_variables_are_left_alone(tmp_path: Path) -> None:
    assert load(tmp_path, BAAS_HOME="/x", PATH="/bin", BAASTARD__X="1") == Settings()


def test_a_file_that_is_not_text_is_a_plain_fault(tmp_path: Path) -> None:
    (tmp_path / "baas.yaml").write_bytes(b"\xff\xfe")

    assert fault(tmp_path) == "baas.yaml: cannot be read: it is not UTF-8"


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("30/m", Rate(30, 60)),
        ("5/10s", Rate(5, 10)),
        ("1000 / h", Rate(1000, 3600)),
        ("2/d", Rate(2, 86_400)),
        ("off", None),
        ("0", None),
    ],
)
def test_a_rate_is_a_count_per_time(text: str, rate: Rate | None) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "30", "30/", "30/w", "-1/m", "0/m", "1/0s", "1.5/m", "m/30"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a rate is"):
        parse_rate(text)


def test_a_bare_zero_switches_a_rate_off(tmp_path: Path) -> None:
    assert load(tmp_path, "limits: {rate_auth: 0}\n").limits.rate_auth == "0"


def test_networks_are_addresses_or_ranges() -> None:
    assert [str(n) for n in parse_networks(("127.0.0.1", "fd00::/8"))] == [
        "127.0.0.1/32",
        "fd00::/8",
    ]


def test_what_speaks_of_functions_is_left_to_their_releases(tmp_path: Path) -> None:
    text = "functions: {f: {timeout: 3}}\nservices: {s: {functions: [f]}}\naggregate: {w: [f]}\n"
    assert load(tmp_path, text) == load(tmp_path, "")
    with pytest.raises(ConfigurationError, match=r"written in baas\.yaml alone"):
        load(tmp_path, BAAS_FUNCTIONS__F="1")
    with pytest.raises(ConfigurationError, match="did you mean functions"):
        load(tmp_path, "functoins: {}\n")
