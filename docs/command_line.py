"""The commands of rgstep as the documentation reads them: what `--help` says."""

from typer.main import get_command

from rgstep.cli import app

command = get_command(app)
