"""What an evaluation is: one JSON object, version 1, and the check of what is read back.

A *spread* object is {mean, std, count} over the pictures that have the figure: std divides by
their count, mean and std are null where count is 0. HR is the original, cut so that its sides are
multiples of the scale; LR is the reduced picture, which is coded. ::

    schema           "latentsr-evaluation"
    schema_version   1; a reader refuses a greater one
    created          time in UTC, ISO 8601
    command          [words] that make this result again, or null
    versions         {package: version, or null where it is not installed}
    settings         {backend, device, threads, reduction, border, crop: text, metrics: [{name,
                     about, random_weights}]}; reduction is "matlab" or "pillow", border the rows
                     and columns left out at every side before metrics, metrics the further ones
    pictures         [names] of all that were asked for, in order
    bundles          [{label, name, family, fingerprint, bytes, random_weights, scale, runs_on,
                     routes: [names]}]; a label belongs to one bundle only
    rows             [{bundle, picture, route, anchor, width, height, lr_width, lr_height, rate,
                     figures}]; bundle is a label; width and height are those of HR
                     anchor   null: the route never makes the LR picture; "decoded": it enlarges
                              the decoded LR picture; "original": the same steps on the LR
                              picture that was never coded
                     rate     {bytes, bpp_hr, bpp_lr, ratio_hr, ratio_lr} of the whole stream,
                              null for "original"; bpp counts pixels of HR or LR, ratio is their
                              size as raw 8-bit RGB over the stream's
                     figures  {psnr, psnr_y, ssim, ms_ssim, and further metrics} against HR; null
                              where the picture is too small, or equal to HR (PSNR)
    summary          [{bundle, route, anchor, pictures, rate: {figure: spread} or null,
                     figures: {figure: spread}}], in the order of bundles and routes
    failures         [{bundle, picture, error}]; such a picture has no row for this bundle
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from latentsr.errors import UsageError
from latentsr.evaluate.anchors import DECODED, ORIGINAL
from latentsr.evaluate.metrics import BUILT_IN
from latentsr.evaluate.reduction import OWN_REDUCTION, REDUCTIONS
from latentsr.json_reader import read_json
from latentsr.report.form import Flag, Form, Items, Named, Number, Record, Text, misfit

SCHEMA = "latentsr-evaluation"
SCHEMA_VERSION = 1
LARGEST = 256 << 20
RATE = ("bytes", "bpp_hr", "bpp_lr", "ratio_hr", "ratio_lr")

_SIDE = Number(1, 65535, whole=True)
_SPREAD = Record({"mean": Number(none=True), "std": Number(0, none=True),
                  "count": Number(0, whole=True)})  # fmt: skip
# No stream has less, and the plot's axis is logarithmic.
_LEAST_RATE = 1e-12
_RATE_SPREAD = Record({**_SPREAD.fields, "mean": Number(_LEAST_RATE, none=True)})
_SETTINGS = Record({
    "backend": Text(), "device": Text(), "threads": Number(1, none=True, whole=True),
    "reduction": Text(), "border": Number(0, whole=True), "crop": Text(),
    "metrics": Items(Record({"name": Text(), "about": Text(), "random_weights": Flag()})),
})  # fmt: skip
_BUNDLE = Record({
    "label": Text(), "name": Text(), "family": Text(), "fingerprint": Text(), "bytes": Number(0),
    "random_weights": Flag(), "scale": Number(2, 64, whole=True), "runs_on": Text(),
    "routes": Items(Text(), least=1),
})  # fmt: skip
_ROW = Record({
    "bundle": Text(), "picture": Text(), "route": Text(), "anchor": Text(none=True),
    "width": _SIDE, "height": _SIDE, "lr_width": _SIDE, "lr_height": _SIDE,
    "rate": Record(dict.fromkeys(RATE, Number(_LEAST_RATE)), none=True),
    "figures": Named(Number(none=True)),
})  # fmt: skip
_SUMMARY = Record({
    "bundle": Text(), "route": Text(), "anchor": Text(none=True),
    "pictures": Number(1, whole=True), "rate": Record(dict.fromkeys(RATE, _RATE_SPREAD), none=True),
    "figures": Named(_SPREAD),
})  # fmt: skip
RESULT: Form = Record({
    "created": Text(), "command": Items(Text(), none=True), "versions": Named(Text(none=True)),
    "settings": _SETTINGS, "pictures": Items(Text(), least=1), "bundles": Items(_BUNDLE, least=1),
    "rows": Items(_ROW, least=1, most=1_000_000), "summary": Items(_SUMMARY, least=1),
    "failures": Items(Record({"bundle": Text(), "picture": Text(), "error": Text()})),
})  # fmt: skip


def read_result(path: Path) -> dict[str, Any]:
    """Read a result's file; UsageError where it is none, or one of a newer version."""
    value = read_json(path, "evaluation", "latentsr evaluate --json", LARGEST)
    check(value, str(path))
    result: dict[str, Any] = value
    return result


def check(value: object, where: str) -> None:
    """Raise UsageError unless `value` has the form above and its parts belong together."""
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise _fault(f"{where}.schema", f"a result of {SCHEMA}")
    version = value.get("schema_version")
    if type(version) is not int or not 1 <= version <= SCHEMA_VERSION:
        raise _fault(f"{where}.schema_version", f"1..{SCHEMA_VERSION}; update latentsr")
    if fault := misfit(value, RESULT, where):
        raise _fault(*fault)
    known = (*REDUCTIONS, OWN_REDUCTION)
    if value["settings"]["reduction"] not in known:
        raise _fault(f"{where}.settings.reduction", f"one of {', '.join(known)}")
    labels = {bundle["label"]: bundle["routes"] for bundle in value["bundles"]}
    if len(labels) != len(value["bundles"]):
        raise _fault(f"{where}.bundles", "labels all different")
    for key in ("rows", "summary"):
        for number, item in enumerate(value[key]):
            _belongs(item, labels, f"{where}.{key}[{number}]")


def _belongs(item: dict[str, Any], labels: dict[str, list[str]], where: str) -> None:
    if item["route"] not in labels.get(item["bundle"], ()):
        raise _fault(where, "a bundle and one of its routes that are listed")
    if item["anchor"] not in (None, DECODED, ORIGINAL):
        raise _fault(f"{where}.anchor", f"null, {DECODED} or {ORIGINAL}")
    if (item["rate"] is None) != (item["anchor"] == ORIGINAL):
        raise _fault(f"{where}.rate", "null for the original anchor, and only for it")
    if not set(BUILT_IN) <= item["figures"].keys():
        raise _fault(f"{where}.figures", f"{', '.join(BUILT_IN)} at least")


def _fault(where: str, expected: str) -> UsageError:
    return UsageError(
        f"evaluation is malformed: found no proper {where}, expected {expected}; evaluate again "
        "with `latentsr evaluate --json`"
    )
