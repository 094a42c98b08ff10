"""The command line: each command parses, calls one function, prints. Exit status 0 done, 2 bad input, 1 our failure."""

import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ParamSpec

import typer

from rgstep.arguments import InputError

if TYPE_CHECKING:
    from rgstep.report import Report
    from rgstep.types import Progress

app = typer.Typer(
    help="Is this coarse graining a renormalization-group step? Block spins and networks, measured alike.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Size = Annotated[int, typer.Option(help="Lattice side L, even, 4 to 1024.")]
Temperature = Annotated[str, typer.Option(help="Temperature in J/k_B: a number, 'critical' or 'inf'.")]
GivenTemperature = Annotated[
    str | None,
    typer.Option(help="Temperature in J/k_B: a number, 'critical' or 'inf'. Default: critical, or that of a file."),
]
Samples = Annotated[int, typer.Option(help="Number of independent configurations.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random; the same seed gives the same numbers.")]
Unused = Annotated[int, typer.Option("--seed", help="Every command takes it; nothing here is random.")]
Steps = Annotated[int | None, typer.Option(help="Updates of a training, instead of the preset's own.")]
Hidden = Annotated[int | None, typer.Option(help="Hidden units of a network, instead of one per block.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bars, no table.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Array = Annotated[
    str | None, typer.Option(metavar="NAME", help="The array of the file, where several hold configurations.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace results that are there already.")]


P = ParamSpec("P")


def print_version(asked: bool) -> None:
    """Print the version and leave, if it is asked for."""
    if asked:
        from importlib.metadata import version

        typer.echo(f"rgstep {version('rgstep')}")
        raise typer.Exit


@app.callback()
def every_command(
    _: Annotated[
        bool, typer.Option("--version", "-V", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Is this coarse graining a renormalization-group step? Block spins and networks, measured alike."""


@contextmanager
def loading(quiet: bool) -> "Iterator[Progress]":
    """Yield the progress bars, with a spinner while the scientific libraries load.

    TERM and HUP end a command as Ctrl-C does. An interrupt that arrives inside a library's callback is lost (Python
    ignores what callbacks raise), so it is also noted, and raised again at the next report of progress.
    """
    from rgstep.progress import progress_bars

    pressed = 0

    def note_and_raise(number: int, _: object) -> None:
        nonlocal pressed
        pressed = number
        raise Ended(number)

    with progress_bars(quiet) as progress:

        def watched(stage: str, done: int, total: int, note: str = "") -> None:
            if pressed:
                raise Ended(pressed)
            progress(stage, done, total, note)

        before = {number: signal.signal(number, note_and_raise) for number in ends()}
        complain_as_before = sys.unraisablehook
        sys.unraisablehook = lambda lost: None if lost.exc_type is Ended else complain_as_before(lost)
        try:
            watched("loading libraries", 0, 0)
            yield watched
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            sys.unraisablehook = complain_as_before


class Ended(KeyboardInterrupt):
    """A signal asks this process to end: Ctrl-C, TERM (`kill`, a batch system) or HUP (the terminal is closed)."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        """Note which."""
        super().__init__(number)
        self.number = int(number)


def ends() -> list[int]:
    """Return the signals that ask to end; HUP not where it is ignored already, as under `nohup`."""
    found: list[int] = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        found.append(signal.SIGHUP)
    return found


def verb(run: Callable[P, None]) -> Callable[P, None]:
    """Register a verb; whatever goes wrong in it is one line and an exit status."""

    @wraps(run)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            run(*args, **kwargs)
        except InputError as error:
            complain(str(error), 2)
        except KeyboardInterrupt as interrupt:
            with suppress(OSError):  # a terminal that is closed takes no line
                typer.echo("rgstep: interrupted; nothing was left half-written", err=True)
                sys.stdout.flush()
            # an interpreter that ends while JAX compiles in another thread may crash
            os._exit(128 + getattr(interrupt, "number", signal.SIGINT))
        except Exception as error:
            if os.environ.get("RGSTEP_TRACEBACK"):
                raise
            if remedy := remedy_of(error):
                complain(remedy, 1)
            first = (str(error).splitlines() or [""])[0]
            complain(f"failed: {type(error).__name__}: {first} (RGSTEP_TRACEBACK=1 shows where; please report it)", 1)

    return app.command()(guarded)


def remedy_of(error: BaseException) -> str:
    """Return what to do about a failure that is none of ours, in one line; "" for any other."""
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        return "the memory of this machine is used up; give fewer samples or a smaller size, or close other programs"
    place = error.__traceback__
    while place is not None:
        if Path(place.tb_frame.f_code.co_filename).parts[-3:] == ("numba", "core", "caching.py"):
            folder = place.tb_frame.f_locals.get("self")
            where = getattr(folder, "_cache_path", None) or Path(__file__).parent / "samplers" / "__pycache__"
            return f"compiled code in {str(where)!r} is damaged: delete its files *.nbi and *.nbc, and run again"
        place = place.tb_next
    return ""


def complain(message: str, code: int) -> None:
    """Print one line on standard error and leave with an exit status."""
    typer.echo(f"rgstep: {message}", err=True)
    raise typer.Exit(code)


@verb
def compare(
    size: Annotated[int | None, typer.Option(help="Lattice side L, even, 4 to 1024; 32 by default.")] = None,
    temperature: GivenTemperature = None,
    samples: Annotated[int | None, typer.Option(help="Number of independent configurations; 20000 by default.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            "--configurations",
            metavar="FILE[:ARRAY]",
            help="Given configurations instead of sampled ones: a file by 'rgstep sample', or .npy, .npz, .mat, .h5 or "
            "text of another program; size and samples are then those of the file.",
        ),
    ] = None,
    array: Array = None,
    block: Annotated[int, typer.Option(help="Side of the blocks; it must divide L.")] = 2,
    seed: Seed = 0,
    maps: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="NAME|file.py:object|FILE",
            help="A map to measure beside the controls; repeat for more. Default: rbm_default, rbm_koch2020, and at "
            "L = 32 'localised', a trained network that comes with rgstep.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the report.")] = Path("runs/compare"),
    seeds: Annotated[int, typer.Option(help="Networks trained per preset, with seeds SEED, SEED+1, …")] = 1,
    hidden: Hidden = None,
    steps: Steps = None,
    controls: Annotated[
        list[str] | None,
        typer.Option(
            "--control",
            metavar="NAME",
            help="Train each preset on data of known answer, too: permuted, infinite, zero_and_infinite or gaussian.",
        ),
    ] = None,
    decoy: Annotated[bool, typer.Option("--decoy", help="Train each preset on a lattice with decoys, too.")] = False,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Sample, coarse-grain by hand and by learning, measure all alike, write a report."""
    with loading(quiet) as progress:
        from rgstep.commands import parse_temperature
        from rgstep.jobs import compare as run

        report = run(
            out,
            size=size,
            temperature=None if temperature is None else parse_temperature(temperature),
            samples=samples,
            data=data,
            array=array,
            block=block,
            seed=seed,
            maps=maps or None,
            seeds=seeds,
            hidden=hidden,
            steps=steps,
            controls=controls or (),
            decoy=decoy,
            force=force,
            command=command_line(),
            progress=progress,
        )
    if as_json:
        print_json(report.to_dict())
    elif not quiet:
        show(report, out)


@verb
def sample(
    out: Annotated[Path, typer.Argument(help="File to write, ending in .npz.")],
    size: Size = 32,
    temperature: Temperature = "critical",
    samples: Samples = 20_000,
    seed: Seed = 0,
    mode: Annotated[str, typer.Option(help="iid, thin, or exact (perfect samples, T ≥ T_c).")] = "iid",
    kernel: Annotated[
        str, typer.Option(help="auto, fastest, metropolis, heat-bath, single, swendsen-wang or wolff.")
    ] = "auto",
    threads: Annotated[int | None, typer.Option(help="Threads at work; all cores by default.")] = None,
    time_limit: Annotated[float, typer.Option(help="Seconds the work may be expected to take.")] = 3600.0,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Sample the Ising model into a file, with a certificate against exact results."""
    with loading(quiet) as progress:
        from rgstep.commands import parse_temperature, sample_to_file

        certificate = sample_to_file(
            out,
            size,
            parse_temperature(temperature),
            samples,
            seed,
            mode=mode,
            kernel=kernel,
            threads=threads,
            time_limit=time_limit,
            force=force,
            progress=progress,
        )
    if as_json:
        print_json(certificate)
    elif not quiet:
        typer.echo(f"{certificate['text']}\nfile: {out}")


@verb
def train(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="FILE[:ARRAY]",
            help="Configurations by 'rgstep sample', or .npy, .npz, .mat, .h5 or text of another program.",
        ),
    ],
    out: Annotated[Path, typer.Argument(help="File to write, ending in .npz.")],
    preset: Annotated[
        str | None, typer.Option(help="default, koch2020, mehta2014 or veiga2020; 'default' unless given.")
    ] = None,
    kernel: Annotated[
        str | None,
        typer.Option(
            metavar="PRESET", help="One kernel for all units instead: chung2020, stationary or kochjanusz2018."
        ),
    ] = None,
    hidden: Hidden = None,
    steps: Steps = None,
    temperature: GivenTemperature = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Train on fresh configurations of the same L and T, none seen twice.")
    ] = False,
    stack: Annotated[
        bool, typer.Option("--stack", help="Train networks one on h of another, each halving the lattice.")
    ] = False,
    levels: Annotated[int | None, typer.Option(help="How many networks of a stack; down to side 4 by default.")] = None,
    checkpoints: Annotated[
        Path | None, typer.Option(help="Folder for checkpoints; the same command goes on from the last one.")
    ] = None,
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train an RBM, a stack of them, or one kernel shared by all units, on configurations from a file."""
    with loading(quiet) as progress:
        from rgstep import commands

        if kernel is not None:
            commands.refuse_with_kernel(preset=preset, hidden=hidden)
        summary = commands.train_to_file(
            data,
            out,
            hidden=hidden,
            seed=seed,
            preset=preset or "default",
            kernel=kernel,
            settings={"steps": steps},
            temperature=None if temperature is None else commands.parse_temperature(temperature),
            fresh=fresh,
            stack=stack,
            levels=levels,
            checkpoints=checkpoints,
            force=force,
            progress=progress,
        )
    if as_json:
        print_json(summary)
    elif not quiet:
        typer.echo(commands.summary_of_training(summary))


@verb
def assess(
    network: Annotated[Path, typer.Argument(help="A network written by 'rgstep train'; the result is added to it.")],
    temperature: Temperature = "critical",
    samples: Annotated[int, typer.Option(help="Fresh configurations to compare with.")] = 4_000,
    checkpoints: Annotated[
        Path | None, typer.Option(help="Folder of the training's checkpoints, for a second ln Z along them.")
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell whether a network is an equilibrium model, and how far its law is from the Ising law."""
    with loading(quiet) as progress:
        from rgstep.commands import assess_file, parse_temperature

        found = assess_file(
            network,
            temperature=parse_temperature(temperature),
            samples=samples,
            seed=seed,
            checkpoints=checkpoints,
            progress=progress,
        )
    if as_json:
        print_json(found.to_dict())
    elif not quiet:
        typer.echo(str(found))


@verb
def exponents(
    data: Annotated[
        list[Path],
        typer.Argument(
            help="Configurations (.npz by 'rgstep sample', or .npz, .npy, .mat, .h5, .txt of another program), tables "
            "(.csv with the columns L, T, quantity, value, error), or folders of such files; several sizes."
        ),
    ],
    quantity: Annotated[
        str | None,
        typer.Option(help="What the values of a table without a column quantity are: abs_m, chi, U4 or U4_slope."),
    ] = None,
    temperature: Temperature = "critical",
    window: Annotated[
        str | None, typer.Option(metavar="L:L", help="Sizes to fit, 8:64. Default: as many as the errors allow.")
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit β/ν, γ/ν, 1/ν and T_c to configurations or tables of several sizes, beside the exact values."""
    with loading(quiet):
        from rgstep.commands import exponents_of_files, parse_temperature

        found = exponents_of_files(
            data, quantity=quantity, temperature=parse_temperature(temperature), window=window, seed=seed
        )
    if as_json:
        print_json(found.to_dict())
    elif not quiet:
        typer.echo(str(found))


@verb
def flow(
    network: Annotated[
        str,
        typer.Argument(metavar="NETWORK", help="A network's file; for --kind coarse also file.py:object or a rule."),
    ],
    start: Annotated[
        str | None,
        typer.Option(help="zero, infinite, or a file of configurations. Default: from both, zero and infinite."),
    ] = None,
    kind: Annotated[str, typer.Option(help="reconstruction, v → h → v, or coarse, v → h level by level.")] = (
        "reconstruction"
    ),
    steps: Annotated[int, typer.Option(help="Steps at most; a flow that has converged ends.")] = 200,
    samples: Annotated[int, typer.Option(help="Configurations, where the start is no file.")] = 1000,
    size: Annotated[int | None, typer.Option(help="Lattice side L of a start, where no network tells it.")] = None,
    signs: Annotated[bool, typer.Option("--signs", help="Every unit the sign of its mean, instead of drawn.")] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Each length is a chain of its own from the start.")
    ] = False,
    classifier: Annotated[
        bool, typer.Option("--classifier", help="Also ask a network trained to tell temperatures; it decides nothing.")
    ] = False,
    temperature: GivenTemperature = None,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Iterate a network or a map, and read the temperature at every step."""
    with loading(quiet) as progress:
        from rgstep.commands import flow_of_file, parse_temperature

        given = None if temperature is None else parse_temperature(temperature)
        how = {"steps": steps, "samples": samples, "size": size, "sampled": not signs, "restart": restart}
        how["classifier"] = classifier
        found = flow_of_file(network, start, kind=kind, temperature=given, seed=seed, progress=progress, **how)
    if as_json:
        print_json(found.to_dict())
    elif not quiet:
        from rich.console import Console

        from rgstep.report import WIDTH

        console = Console(width=None if sys.stdout.isatty() else WIDTH)
        console.print(*found.tables())
        typer.echo(found.verdict)


@verb
def report(
    directory: Annotated[Path, typer.Argument(help="Folder of a report.")],
    seed: Unused = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Draw the figures and the page of a saved report again."""
    with loading(quiet) as progress:
        from rgstep.commands import redraw

        result = redraw(directory, progress)
    if as_json:
        print_json(result.to_dict())
    elif not quiet:
        show(result, directory)


@verb
def reproduce(
    name: Annotated[str, typer.Argument(metavar="[NAME|all|list]", help="A claim, all of them, or a list.")] = "list",
    quick: Annotated[bool, typer.Option("--quick", help="Fewer seeds and samples, larger errors.")] = False,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option(help="Folder for parts and pages; what is there is not measured again.")] = Path(
        "runs/reproduce"
    ),
    force: Annotated[bool, typer.Option("--force", help="Measure again what is stored.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Test published claims: each number beside ours, its controls and nulls, and whether the claim holds."""
    if name == "list":
        from rgstep.reproduction import listed, table_of_experiments

        if as_json:
            print_json(table_of_experiments())
        elif not quiet:
            typer.echo(listed())
        return
    with loading(quiet) as progress:
        from rgstep.reproduction import reproduce as run

        outcomes = run(name, quick=quick, seed=seed, out=out, force=force, progress=progress)
    for note in (note for outcome in outcomes for note in outcome.notes):
        typer.echo(f"rgstep: {note}", err=True)
    if as_json:
        print_json([outcome.to_dict() for outcome in outcomes])
    elif not quiet:
        typer.echo("\n\n".join(map(str, outcomes)))
        typer.echo(f"pages: {out / 'claims.md'}")


@verb
def study(
    action: Annotated[str, typer.Argument(metavar="run|status|collect", help="What to do.")],
    path: Annotated[Path, typer.Argument(metavar="FILE.toml|FOLDER", help="The study's file, or its folder.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the study; by default runs/studies/ and the name of its file.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; as many as cores by default.")] = None,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS|local", help="Run on the workers of a scheduler of Dask distributed.")
    ] = None,
    seed: Unused = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a grid of trainings and judgements from a file, say how far it is, or collect what it found.

    A run that is killed goes on where it was; tasks that failed are named and tried again by the next run.
    """
    with loading(quiet) as progress:
        from rgstep.commands import do_study

        found = do_study(action, path, out, workers=workers, dask=dask, progress=progress)
    if as_json:
        print_json(found.plain)
    elif not quiet:
        typer.echo(found.words)


@verb
def info(
    path: Annotated[
        str | None, typer.Argument(metavar="[PATH]", help="A file, folder or URL to say of what it is, and to check.")
    ] = None,
    seed: Unused = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Print versions, the built-in maps and presets; of a file or folder what it is, checked."""
    from rgstep.commands import environment
    from rgstep.inspection import info as info_of

    finish(environment() if path is None else info_of(path), as_json, quiet)


def command_line() -> str:
    """Return the command as typed."""
    return shlex.join(["rgstep", *sys.argv[1:]])


def finish(summary: dict[str, object], as_json: bool, quiet: bool) -> None:
    """Print a summary, as JSON or a line for each entry."""
    if as_json:
        print_json(summary)
    elif not quiet:
        for name, value in summary.items():
            typer.echo(f"{name}: {value:.6g}" if isinstance(value, float) else f"{name}: {value}")


def print_json(value: object) -> None:
    """Print plain values as JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False))


def show(report: "Report", folder: Path) -> None:
    """Print the table of a report, the sentences of its page, and the file to open."""
    from rich.console import Console

    from rgstep.report import WIDTH

    report.show(Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False))
    typer.echo(f"\nopen: {folder / 'report.html'}")


NO_VARIABLE = " (env var: 'None')"  # what click adds to the name of an option that no variable sets


def main() -> None:
    """Run the command line; a wrong verb or option is one line, too."""
    try:
        status = app(standalone_mode=False)
    except Exception as error:
        if not hasattr(error, "format_message"):  # what typer raises for usage, wherever it keeps the class
            raise
        line = " ".join(str(error.format_message()).replace(NO_VARIABLE, "").split()).removesuffix(".")
        if line:  # nothing typed has shown the help already
            shown = " ".join(["rgstep", *verb_typed(), "--help"])
            typer.echo(f"rgstep: {line} ({shown} shows what there is)", err=True)
        sys.exit(2 if line else 0)
    sys.exit(status if isinstance(status, int) else 0)


def verb_typed() -> list[str]:
    """Return the verb of the command, if one that exists was typed."""
    names = {command.callback.__name__ for command in app.registered_commands if command.callback}
    return [word for word in sys.argv[1:2] if word in names]
