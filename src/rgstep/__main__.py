"""Run the command: python -m rgstep is rgstep."""

from rgstep.cli import main

if __name__ == "__main__":
    main()
