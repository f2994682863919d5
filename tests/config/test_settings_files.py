import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from config.city_files import EXAMPLE
from config.errors import ConfigurationError
from config.settings import (
    ClockSource,
    Influx1StoreSettings,
    InfluxStoreSettings,
    MqttProtocol,
    Part,
    PayloadFormat,
    Settings,
    Subscription,
)
from config.settings_files import SettingsReport, is_placeholder, load_settings, read_settings
from config.settings_table import Setting, settings_table
from config.vocabulary import Language


def written(folder: Path, content: str, name: str = "gridwhistle.toml") -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def told(report: SettingsReport) -> list[tuple[str, str | None, str, str]]:
    assert report.settings is None
    return [(Path(p.file).name, p.field, p.found, p.expected.en) for p in report.problems]


def test_a_file_with_nothing_but_the_city_gives_the_defaults(tmp_path: Path) -> None:
    path = written(tmp_path, 'city = "/srv/city"')
    assert load_settings(path, environ={}) == Settings(city=Path("/srv/city"))


def test_no_file_is_needed_where_the_environment_says_enough() -> None:
    assert load_settings(None, environ={"GRIDWHISTLE_CITY": "/srv/city"}) == Settings(city=Path("/srv/city"))


def test_toml_and_yaml_say_the_same(tmp_path: Path) -> None:
    toml = written(tmp_path, 'city = "c"\n[mqtt]\nport = 1884\n[store]\ntype = "influx1"\ndatabase = "d"\n')
    yaml = written(tmp_path, "city: c\nmqtt:\n  port: 1884\nstore:\n  type: influx1\n  database: d\ningest:\n", "g.yml")
    settings = load_settings(toml, environ={})
    assert settings == load_settings(yaml, environ={})
    assert (settings.mqtt.port, settings.store) == (1884, Influx1StoreSettings(type="influx1", database="d"))


def test_the_environment_goes_before_the_file_and_overrides_before_both(tmp_path: Path) -> None:
    path = written(tmp_path, 'city = "c"\n[mqtt]\nport = 1\nhost = "file"\nclient_id = "file"\n')
    environ = {"GRIDWHISTLE_MQTT__HOST": "environment", "GRIDWHISTLE_MQTT__PORT": "2", "GRIDWHISTLE_LANGUAGE": "en"}
    settings = load_settings(path, environ=environ, overrides={"mqtt.port": 3, "clock.source": "broker"})
    assert (settings.mqtt.client_id, settings.mqtt.host, settings.mqtt.port) == ("file", "environment", 3)
    assert (settings.language, settings.clock.source) == (Language.EN, ClockSource.BROKER)


def test_the_processs_own_environment_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDWHISTLE_MQTT__PORT", "1999")
    monkeypatch.setenv("GRIDWHISTLE_DATA", "/where/recordings/lie")
    monkeypatch.setenv("GRIDWHISTLE_MQTT__USERNAME", "")
    settings = load_settings(written(tmp_path, 'city = "c"'))
    assert (settings.mqtt.port, settings.mqtt.username) == (1999, None)


def test_a_store_may_be_half_in_the_file_and_half_in_the_environment(tmp_path: Path) -> None:
    path = written(tmp_path, 'city = "c"\n[store]\ntype = "influx"\norg = "o"\n')
    settings = load_settings(path, environ={"GRIDWHISTLE_STORE__TOKEN": "k7Rw-22pq"})
    assert settings.store == InfluxStoreSettings(type="influx", org="o", token=SecretStr("k7Rw-22pq"))


def test_a_list_in_the_environment_is_json() -> None:
    environ = {"GRIDWHISTLE_CITY": "c", "GRIDWHISTLE_MQTT__SUBSCRIPTIONS": '[{"filter": "a/#", "format": "senml"}]'}
    (subscription,) = load_settings(None, environ=environ).mqtt.subscriptions
    assert (subscription.filter, subscription.format) == ("a/#", PayloadFormat.SENML)
    environ["GRIDWHISTLE_MQTT__SUBSCRIPTIONS"] = "a/#"
    assert told(read_settings(None, environ=environ)) == [
        ("environment", "GRIDWHISTLE_MQTT__SUBSCRIPTIONS", "a/#", 'a list in JSON, such as ["a"]')
    ]


def test_relative_paths_in_a_file_are_seen_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etc").mkdir()
    written(tmp_path / "etc", 'city = "city"\ndata_dir = "../var"\n[store]\ntype = "local"\npath = "r.duckdb"')
    monkeypatch.chdir(tmp_path)
    settings = load_settings(Path("etc/gridwhistle.toml"), environ={})
    assert settings.city == tmp_path / "etc" / "city"
    assert settings.data_dir.resolve() == tmp_path / "var"
    assert getattr(settings.store, "path", None) == tmp_path / "etc" / "r.duckdb"
    assert load_settings(Path("etc/gridwhistle.toml"), environ={"GRIDWHISTLE_CITY": "here"}).city == Path("here")


def test_the_sample_beside_the_example_district_loads() -> None:
    settings = load_settings(EXAMPLE / "gridwhistle.toml", environ={})
    assert settings.city.resolve() == EXAMPLE.resolve()
    assert settings == Settings(city=settings.city)


def test_every_mistake_is_told_at_once_with_file_key_found_and_expected(tmp_path: Path) -> None:
    *most, last = [f"'{one}'" for one in PayloadFormat]
    formats = f"one of {', '.join(most)} or {last}"
    path = written(
        tmp_path,
        """
        cty = "x"
        language = "fr"
        [mqtt]
        port = 70000
        host = 3
        keepalive_s = 12.5
        pasword = "hui"
        [[mqtt.subscriptions]]
        filter = "a/#"
        format = "xml"
        [ingest]
        silent_after = "often"
        future_s = -1
        [store]
        type = "influx"
        token = "changeme"
        [dashboard]
        secure_cookie = "maybe"
        session_hours = 0
        """,
    )
    report = read_settings(path, environ={"GRIDWHISTLE_MQTT__HOTS": "h", "GRIDWHISTLE_INGEST__BATCH_MS": "0"})
    file = "gridwhistle.toml"
    top = "one of city, data_dir, language, parts, mqtt, store, ingest, spool, clock, ledger, dashboard"
    mistakes = told(report)
    assert {(found_in, field) for found_in, field, _, _ in mistakes} == {
        (file, "cty"), (file, "city"), (file, "language"), (file, "mqtt.port"), (file, "mqtt.host"),
        (file, "mqtt.keepalive_s"), (file, "mqtt.pasword"), (file, "mqtt.subscriptions[0].format"),
        (file, "ingest.silent_after"), (file, "ingest.future_s"), (file, "store.token"), (file, "store.org"),
        (file, "dashboard.secure_cookie"), (file, "dashboard.session_hours"),
        ("environment", "GRIDWHISTLE_MQTT__HOTS"), ("environment", "GRIDWHISTLE_INGEST__BATCH_MS"),
    }  # fmt: skip
    for mistake in (
        (file, "cty", "cty", top),
        (file, "language", "fr", "one of 'zh' or 'en'"),
        (file, "mqtt.port", "70000", "at most 65535"),
        (file, "mqtt.host", "3", "one text"),
        (file, "mqtt.keepalive_s", "12.5", "a whole number such as 12"),
        (file, "mqtt.subscriptions[0].format", "xml", formats),
        (file, "ingest.silent_after", "often", "a number such as 12.5"),
        (file, "ingest.future_s", "-1", "at least 0"),
        (file, "store.token", "changeme", "a secret of your own, long and random"),
        (file, "store.org", "", "a value for org"),
        (file, "dashboard.secure_cookie", "maybe", "true or false"),
        (file, "dashboard.session_hours", "0", "above 0"),
        ("environment", "GRIDWHISTLE_INGEST__BATCH_MS", "0", "at least 1"),
    ):
        assert mistake in mistakes
    with pytest.raises(ConfigurationError) as error:
        load_settings(path, environ={})
    assert "gridwhistle.toml, mqtt.port: the number is too large. Found: “70000”. Expected: at most 65535." in str(
        error.value
    )


WRONG = [
    ("ingest.too_old_s", "1e13", "at most 1e+10"),
    ("ingest.future_s", "1e13", "at most 1e+10"),
    ("ingest.late_s", "1e13", "at most 1e+10"),
    ("ingest.silent_floor_s", "1e13", "at most 1e+10"),
    ("ingest.silent_after", "1e9", "at most 1e+06"),
    ("ingest.too_old_s", "inf", "finite number"),
    ("ingest.late_s", "nan", "finite number"),
    ("dashboard.session_hours", "nan", "finite number"),
    ("mqtt.reconnect_min_s", "1e9", "at most 3600"),
    ("mqtt.reconnect_max_s", "0.1", "at least reconnect_min_s, which is 0.5"),
    ("mqtt.password", '"8812345678"', "a username with it"),
    ("mqtt.notify_prefix", '"a/+"', "a topic without + and #"),
    ("mqtt.notify_prefix", '""', "a value"),
    ("clock.topic", '"gridwhistle/#"', "a topic without + and #"),
    ("clock.topic", '"a\\u0000b"', "without a null character"),
]


@pytest.mark.parametrize(("key", "value", "expected"), WRONG)
def test_a_value_that_could_only_fail_later_stops_the_start(
    tmp_path: Path, key: str, value: str, expected: str
) -> None:
    section, _, name = key.partition(".")
    path = written(tmp_path, f'city = "c"\n[{section}]\n{name} = {value}\n')
    with pytest.raises(ConfigurationError, match=rf"{re.escape(key)}: .*{re.escape(expected)}"):
        load_settings(path, environ={})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gridwhistle/#/x", "# stands only at the end"),
        ("a/b#", "# stands only at the end"),
        ("##", "# stands only at the end"),
        ("a/b+/c", "+ stands alone"),
        ("++", "+ stands alone"),
        ("a\0b", "null character"),
        ("a" * 65_536, "65535 bytes"),
        ("$share/group", "$share/<group>/<filter>"),
        ("$share//a", "$share/<group>/<filter>"),
        ("$share/g+/a", "$share/<group>/<filter>"),
        ("$share/g/", "$share/<group>/<filter>"),
        ("$share/g/a#", "# stands only at the end"),
    ],
)
def test_a_filter_that_no_broker_takes_stops_the_start(name: str, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(expected)):
        load_settings(
            None, environ={}, overrides={"city": "c", "mqtt.subscriptions": [{"filter": name, "format": "native"}]}
        )


@pytest.mark.parametrize(
    "name", ["#", "+", "/", "a/#", "+/+/#", "/a//+", "$share/g/a/#", "$SYS/#", "街道/#", "a" * 65_535]
)
def test_a_filter_that_brokers_take_is_taken(name: str) -> None:
    overrides = {"city": "c", "mqtt.subscriptions": [{"filter": name, "format": "native"}]}
    assert load_settings(None, environ={}, overrides=overrides).mqtt.subscriptions[0].filter == name


def test_a_first_pause_beyond_the_longest_is_told_where_the_longest_is_the_default() -> None:
    with pytest.raises(ConfigurationError, match="at least reconnect_min_s, which is 60"):
        load_settings(None, environ={"GRIDWHISTLE_CITY": "c", "GRIDWHISTLE_MQTT__RECONNECT_MIN_S": "60"})


def test_a_password_at_the_store_needs_a_username_too() -> None:
    environ = {
        "GRIDWHISTLE_CITY": "c",
        "GRIDWHISTLE_STORE__TYPE": "influx1",
        "GRIDWHISTLE_STORE__PASSWORD": "k7Rw-22pq",
    }
    with pytest.raises(ConfigurationError, match="a username with it"):
        load_settings(None, environ=environ)
    assert load_settings(None, environ=environ | {"GRIDWHISTLE_STORE__USERNAME": "u"}).store.type == "influx1"


def test_an_unknown_key_of_one_store_names_the_keys_of_that_store(tmp_path: Path) -> None:
    path = written(tmp_path, 'city = "c"\n[store]\ntype = "influx1"\nbucket = "b"\n')
    expected = "one of raw_days, five_minutes_days, hours_days, type, url, database, username, password"
    assert told(read_settings(path, environ={})) == [("gridwhistle.toml", "store.bucket", "store.bucket", expected)]


def test_an_unknown_type_of_store_names_the_known_ones(tmp_path: Path) -> None:
    path = written(tmp_path, 'city = "c"\n[store]\ntype = "mysql"\n')
    (mistake,) = told(read_settings(path, environ={}))
    assert mistake == ("gridwhistle.toml", "store", "mysql", "one of 'local', 'influx1', 'influx'")


def test_an_unknown_override_is_told() -> None:
    report = read_settings(None, environ={"GRIDWHISTLE_CITY": "c"}, overrides={"mqtt.hots": "h", "mqqt.host": "h"})
    assert [(name, field) for name, field, _, _ in told(report)] == [
        ("command line", "mqtt.hots"),
        ("command line", "mqqt"),
    ]


@pytest.mark.parametrize(
    "secret",
    ["changeme", "Change-Me!", "password", "SECRET", "example", "<your token>", "${TOKEN}", "xxxx", "***", "123456"],
)
def test_a_secret_that_everybody_knows_stops_the_start(secret: str) -> None:
    environ = {"GRIDWHISTLE_CITY": "c", "GRIDWHISTLE_MQTT__USERNAME": "somebody", "GRIDWHISTLE_MQTT__PASSWORD": secret}
    report = read_settings(None, environ=environ)
    assert [(p.code, p.field) for p in report.problems] == [("placeholder_secret", "GRIDWHISTLE_MQTT__PASSWORD")]


def test_a_known_secret_inside_an_address_stops_the_start_too() -> None:
    environ = {"GRIDWHISTLE_CITY": "c", "GRIDWHISTLE_LEDGER__URL": "postgresql://grid:password@db/grid"}
    assert [p.code for p in read_settings(None, environ=environ).problems] == ["placeholder_secret"]
    environ["GRIDWHISTLE_LEDGER__URL"] = "postgresql://grid:k7Rw-22pq@db/grid"
    assert read_settings(None, environ=environ).problems == ()


def test_an_own_secret_is_taken_and_never_shown(tmp_path: Path) -> None:
    assert not is_placeholder("correct horse battery staple")
    path = written(tmp_path, 'city = "c"\n[mqtt]\npassword = 8812345678\n')
    (mistake,) = told(read_settings(path, environ={}))
    assert mistake[:3] == ("gridwhistle.toml", "mqtt.password", "***")


@pytest.mark.parametrize(
    ("name", "content", "code", "row"),
    [
        ("a.toml", "city = ", "broken_toml", None),
        ("a.yaml", "city: [", "broken_yaml", 1),
        ("a.yaml", "- city", "not_mapping", None),
        ("a.yaml", "city: 2026-99-99", "broken_yaml", None),
        ("a.ini", "city = c", "settings_suffix", None),
    ],
)
def test_a_file_that_cannot_be_read_is_the_only_mistake_told(
    tmp_path: Path, name: str, content: str, code: str, row: int | None
) -> None:
    (problem,) = read_settings(written(tmp_path, content, name), environ={}).problems
    assert (Path(problem.file).name, problem.code, problem.row) == (name, code, row)


def test_a_settings_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    (problem,) = read_settings(tmp_path / "no.toml", environ={}).problems
    assert (Path(problem.file).name, problem.code) == ("no.toml", "file_missing")


SAMPLES: dict[object, tuple[str, object]] = {
    bool: ("true", True),
    int: ("100", 100),
    float: ("2.5", 2.5),
    str: ("a text", "a text"),
    Path: ("a/path", Path("a/path")),
    SecretStr: ("k7Rw-22pq", SecretStr("k7Rw-22pq")),
    Language: ("en", Language.EN),
    MqttProtocol: ("3.1.1", MqttProtocol.V311),
    ClockSource: ("broker", ClockSource.BROKER),
}


@pytest.mark.parametrize("setting", list(settings_table()), ids=lambda setting: f"{setting.variant}-{setting.dotted}")
def test_every_setting_can_be_set_by_its_variable(setting: Setting) -> None:
    environ = {"GRIDWHISTLE_CITY": "c"}
    if setting.variant is not None:
        environ |= {"GRIDWHISTLE_STORE__TYPE": setting.variant}
    if setting.variant == "influx":
        environ |= {"GRIDWHISTLE_STORE__ORG": "o", "GRIDWHISTLE_STORE__TOKEN": "k7Rw-22pq"}
    if setting.key[-1] == "password":
        environ |= {setting.environment.replace("PASSWORD", "USERNAME"): "somebody"}
    if setting.key[-1] == "type":
        sample: tuple[str, object] = (str(setting.variant), setting.variant)
    elif setting.key[-1] == "subscriptions":
        entry = Subscription(filter="a/#", format=PayloadFormat.SENML)
        sample = (f"[{entry.model_dump_json()}]", (entry,))
    elif setting.key == ("parts",):
        part = Part(
            name="north", nodes=("N",), subscriptions=(Subscription(filter="n/#", format=PayloadFormat.NATIVE),)
        )
        sample = (f"[{part.model_dump_json()}]", (part,))
    else:
        sample = SAMPLES[setting.types[0]]
    value: object = load_settings(None, environ=environ | {setting.environment: sample[0]})
    for name in setting.key:
        value = getattr(value, name)
    assert value == sample[1]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")),
    name=st.sampled_from(["a.toml", "a.yaml"]),
)
def test_no_content_of_the_file_ever_raises(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    report = read_settings(tmp_path / name, environ={})
    assert (report.settings is None) == bool(report.problems)
    assert all(problem.message.en.encode() for problem in report.problems)


@pytest.mark.parametrize("content", ["mqtt: &a {host: *a}", "[" * 20_000, "? {a: b}\n: c", "1: 2", "mqtt: 3"])
def test_nasty_yaml_is_a_problem_and_no_crash(tmp_path: Path, content: str) -> None:
    assert read_settings(written(tmp_path, content, "a.yaml"), environ={}).settings is None


def test_local_times_without_a_zone_are_warned_of_and_do_not_stop_the_start(tmp_path: Path) -> None:
    content = """
city = "."
[[mqtt.subscriptions]]
filter = "tele/#"
format = "tasmota"
[[mqtt.subscriptions]]
filter = "plugs/#"
format = "tasmota"
timezone = "Asia/Shanghai"
"""
    report = read_settings(written(tmp_path, content), environ={})
    (problem,) = report.problems
    assert report.settings is not None
    assert (problem.level, problem.code, problem.field) == ("warning", "zone_missing", "mqtt.subscriptions")
    assert problem.found == "tele/#"
    assert problem.expected.en.startswith("a timezone beside it")
