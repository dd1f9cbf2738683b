"""The one exception that means "the input is wrong", as opposed to "the library is wrong"."""


class InputError(ValueError):
    """A mistake in what the user gave: it says what was expected, what came, and what to do.

    The command line turns it into a one-line message and exit code 2. Anything else that escapes is ours (exit code 1).
    """


class DamageError(InputError):
    """A file that is not what was written: cut off, changed, gone, or put in its place by something else."""


class DeviceError(InputError):
    """A device that is not here, cannot compute what is asked, or has no room for it now: another place or time can."""
