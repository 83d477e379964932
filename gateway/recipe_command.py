"""`gateway recipe`: recipes are taken in, looked at, tried, activated and handed on."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import model_command, try_command

if TYPE_CHECKING:
    from gateway.probe import Probed
    from gateway.recipe import Recipe
    from gateway.recipe_package import Package

MEMORY_MB = 1024
"""What a model may take at its trial, as it is the default of a station's worker.memory_limit_mb."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `recipe` to the command line."""
    recipe = commands.add_parser("recipe", help="make, check, try, carry and activate recipes").add_subparsers(
        required=True, metavar="COMMAND", title="commands"
    )
    model_command.add_new(recipe)
    check = recipe.add_parser("check", help="everything that could keep a recipe from running; its model is loaded")
    check.add_argument("folder", type=Path, metavar="FOLDER", help="a recipe folder")
    _with_memory(check)
    check.set_defaults(command=_check)
    taken = recipe.add_parser("import", help="take in a recipe from a ZIP file or folder, after all checks")
    taken.add_argument("package", type=Path, metavar="ZIP_OR_FOLDER")
    taken.add_argument("--into", type=Path, required=True, metavar="DIR", help="where the recipe folders are")
    taken.add_argument("--as", dest="name", metavar="NAME", help="name of the new folder (default: as it is packed)")
    _with_memory(taken)
    taken.set_defaults(command=_import)
    _with_memory(try_command.add(recipe))
    packed = recipe.add_parser("export", help="pack a recipe as one ZIP file, to be imported elsewhere")
    packed.add_argument("folder", type=Path, metavar="FOLDER", help="a recipe folder")
    packed.add_argument("--out", type=Path, required=True, metavar="ZIP", help="the file to be made")
    packed.set_defaults(command=_export)
    active = recipe.add_parser("activate", help="change the recipe of a station of the running gateway")
    active.add_argument("file", type=Path, metavar="FILE", help="the configuration the gateway runs with")
    active.add_argument("station", metavar="STATION")
    active.add_argument("number", type=int, metavar="NUMBER", help="of the recipe")
    active.set_defaults(command=_activate)
    known = recipe.add_parser("list", help="the recipes of a folder: number, name, tasks, model, what is wrong")
    known.add_argument("folder", type=Path, metavar="DIR", help="where the recipe folders are")
    show = recipe.add_parser("show", help="what a recipe looks for, its rules, bits and values in words")
    show.add_argument("folder", type=Path, metavar="FOLDER", help="a recipe folder")
    for parser, command in ((known, _list), (show, _show)):
        parser.add_argument("--json", action="store_true", help="for programs")
        parser.set_defaults(command=command)


def _with_memory(parser: argparse.ArgumentParser) -> None:
    text = f"memory the model may take while it is tried, in MiB (default {MEMORY_MB})"
    parser.add_argument("--memory", type=int, default=MEMORY_MB, metavar="MIB", help=text)


def _check(options: argparse.Namespace) -> int:
    from gateway import recipe as recipes
    from gateway.check import look_at_recipe
    from gateway.report import Item, Report, Status

    root = Item(str(options.folder))
    try:
        look_at_recipe(root, recipes.load(options.folder), lambda recipe: _trial(recipe, options.memory))
    except recipes.RecipeError as error:
        for problem in error.problems or (error.text,):
            root.add(str(problem), Status.ERROR)
    report = Report(root)
    report.show(sys.stdout)
    return report.exit_code


def _trial(recipe: Recipe, memory_mb: int) -> Probed:
    from gateway.probe import trial
    from gateway.vision.camera_settings import SimulatedCamera
    from gateway.vision.settings import PoolSettings, WorkerConfig

    worker = WorkerConfig(memory_limit_mb=max(512, memory_mb))
    return trial(PoolSettings(recipe.folder, SimulatedCamera(), worker=worker))


def _import(options: argparse.Namespace) -> int:
    from gateway.recipe_package import Package, PackageError

    try:
        package = Package(options.package)
        try:
            return _take(package, options)
        finally:
            package.close()
    except PackageError as error:
        return _refuse(error)


def _take(package: Package, options: argparse.Namespace) -> int:
    from gateway.recipe import RecipeError
    from gateway.recipe_package import PackageError, fitting_name

    target: Path = options.into / fitting_name(options.name or package.name)
    if target.exists() or target.is_symlink():
        raise PackageError(f"{target} is there already; name another one by --as, or remove it first")
    try:
        recipe = _placed(package, target, options.memory)
    except OSError as error:
        raise PackageError(f"{target} cannot be written ({error.strerror}); name another place by --into") from None
    except RecipeError as error:
        raise PackageError(f"{package.path}: not imported: {error.text}") from None
    print(f"{target}: recipe {recipe.number} {recipe.name}, revision {recipe.revision}, is imported")
    print("Add the folder to a station's `recipes`, then say gateway check FILE")
    return 0


def _placed(package: Package, target: Path, memory_mb: int) -> Recipe:
    """Unpacked beside the others under a hidden name; only what has passed all checks gets its own. RecipeError."""
    import tempfile

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".import-", dir=target.parent) as place:
        staged = Path(place) / target.name
        staged.mkdir()
        package.unpack(staged)
        recipe = _sound(staged, memory_mb)
        staged.rename(target)
    return recipe


def _sound(folder: Path, memory_mb: int) -> Recipe:
    """The recipe, after everything that `recipe check` looks at; RecipeError."""
    from gateway import recipe as recipes
    from protocols.faults import Code

    recipe = recipes.load(folder)
    recipes.verify(recipe)
    probed = _trial(recipe, memory_mb)
    if probed.facts is None:
        raise recipes.RecipeError(Code.MODEL_LOAD, probed.error)
    if unknown := "\n".join(recipes.unknown_labels(recipe, probed.facts.labels)):
        raise recipes.RecipeError(Code.MODEL_MISMATCH, unknown)
    return recipe


def _export(options: argparse.Namespace) -> int:
    from gateway import recipe as recipes
    from gateway.recipe_package import PackageError, pack

    try:
        recipe = recipes.load(options.folder)
        recipes.verify(recipe)
        count = pack(options.folder, options.out)
    except (recipes.RecipeError, PackageError) as error:
        return _refuse(error)
    print(f"{options.out}: recipe {recipe.number} {recipe.name}, revision {recipe.revision}, {count} files")
    return 0


def _activate(options: argparse.Namespace) -> int:
    from gateway import config, control

    try:
        loaded = config.load(options.file)
        request = {"command": "activate", "station": options.station, "recipe": options.number}
        longest = max(station.cycle.command_timeout_s for station in loaded.stations)
        code, text = control.ask(loaded.data_dir, request, longest + 2 * control.PATIENCE)
    except (config.ConfigError, control.ControlError) as error:
        return _refuse(error)
    if code:
        return _refuse(ValueError(f"{options.station}: the recipe stays as it is ({code}): {text}"))
    print(f"{options.station}: recipe {options.number} is active")
    return 0


def _list(options: argparse.Namespace) -> int:
    from gateway import recipe_show

    try:
        rows = recipe_show.rows(options.folder)
    except OSError as error:
        return _refuse(ValueError(f"{options.folder} cannot be read ({error.strerror}); check the path"))
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        print("\n".join(recipe_show.table(rows)) or f"{options.folder}: no folder in it holds a recipe.yaml")
    return 0


def _show(options: argparse.Namespace) -> int:
    from gateway import recipe as recipes
    from gateway import recipe_show

    try:
        recipe = recipes.load(options.folder)
    except recipes.RecipeError as error:
        return _refuse(error)
    if options.json:
        print(json.dumps(recipe.model_dump(mode="json"), indent=2))
    else:
        print("\n".join(recipe_show.lines(recipe)))
    return 0


def _refuse(error: BaseException) -> int:
    print(error, file=sys.stderr)
    return 1
