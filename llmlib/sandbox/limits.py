"""What untrusted code may use."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of one sandbox process.

    ``memory_mb`` counts on top of what the interpreter and the preloaded modules take. ``cpu_seconds`` is the processor
    time of the whole session; wall-clock limits are given with every call. ``file_mb`` bounds one file and the whole
    throw-away folder, ``processes`` the processes alive at once (threads included where the kernel counts them),
    ``reply_mb`` what one request may send back.
    """

    memory_mb: int = 2048
    cpu_seconds: int = 600
    file_mb: int = 64
    processes: int = 64
    reply_mb: int = 64
    output_mb: int = 1

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ValueError(f"{name}={value}: a limit must be at least 1")
