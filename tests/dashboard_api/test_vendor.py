import hashlib
import json
import re

import pytest

from dashboard_api.app import STATIC

VENDOR = STATIC / "vendor"
MANIFEST = json.loads((VENDOR / "MANIFEST.json").read_text())


def digest(name: str) -> str:
    return hashlib.sha256((VENDOR / name).read_bytes()).hexdigest()


@pytest.mark.parametrize("entry", MANIFEST["files"], ids=lambda entry: entry["file"])
def test_a_vendored_file_is_what_the_manifest_says(entry: dict[str, str]) -> None:
    assert digest(entry["file"]) == entry["sha256"]
    assert digest(entry["licence_file"]) == entry["licence_sha256"]
    assert entry["version"] in entry["file"]
    assert entry["licence"] in {"MIT", "BSD-2-Clause", "Apache-2.0"}
    assert bool(entry["changes"]) == (entry["sha256"] != entry["origin_sha256"])


def test_nothing_lies_there_that_the_manifest_does_not_know() -> None:
    known = {"MANIFEST.json"} | {entry[key] for entry in MANIFEST["files"] for key in ("file", "licence_file")}
    assert {path.name for path in VENDOR.iterdir()} == known


def test_every_module_imports_by_relative_paths_to_files_that_exist() -> None:
    imports = re.compile(r"""(?:^|[;}])\s*(?:import|export)\b[^;'"]*\bfrom\s*['"]([^'"]+)['"]""", re.MULTILINE)
    for script in [*(STATIC / "js").glob("*.js"), *VENDOR.glob("*.js")]:
        for target in imports.findall(script.read_text()):
            assert target.startswith("."), (script.name, target)
            assert (script.parent / target).resolve().is_file(), (script.name, target)
