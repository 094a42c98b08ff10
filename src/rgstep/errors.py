"""What the user got wrong, in one line: the value, the rule and the remedy.

Every check of user input in this package raises `InputError`; the command line turns it into exit status 2.
Any other exception is a failure of ours. The rules for arguments are in `arguments`.
"""


class InputError(ValueError):
    """A value from outside breaks a rule; the message names the value, the rule and, where possible, the remedy."""
